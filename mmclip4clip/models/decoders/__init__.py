from .caption_decoder import CaptionDecoder
from .generation import Generated, generate
from .generation_options import GenerationOptions

__all__ = ['CaptionDecoder', 'Generated', 'GenerationOptions', 'generate']
