from .generation import Generated, StepwiseDecoder, beam_search, generate, greedy_search, sample

__all__ = ['Generated', 'StepwiseDecoder', 'beam_search', 'generate', 'greedy_search', 'sample']
