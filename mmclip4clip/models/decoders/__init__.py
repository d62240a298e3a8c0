from .caption_decoder import CaptionDecoder
from .generation import Generated, StepwiseDecoder, beam_search, generate, greedy_search, sample

__all__ = [
    'CaptionDecoder', 'Generated', 'StepwiseDecoder', 'beam_search', 'generate', 'greedy_search', 'sample'
]
