from .cache import CacheFrames
from .decoding import DecodeVideo
from .packing import PackVideoCaptions
from .sampling import SampleAtRate, SampleEvenly, TimeWindow
from .shifting import RandomShift
from .text import TokenizeCaptions, TokenizeTargets

__all__ = [
    'CacheFrames', 'DecodeVideo', 'PackVideoCaptions', 'RandomShift', 'SampleAtRate', 'SampleEvenly',
    'TimeWindow', 'TokenizeCaptions', 'TokenizeTargets'
]
