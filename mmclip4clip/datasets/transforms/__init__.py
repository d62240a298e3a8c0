from .cache import CacheFrames
from .decoding import DecodeVideo
from .packing import PackVideoCaptions
from .sampling import SampleAtRate, SampleEvenly, TimeWindow
from .text import TokenizeCaptions, TokenizeTargets

__all__ = [
    'CacheFrames', 'DecodeVideo', 'PackVideoCaptions', 'SampleAtRate', 'SampleEvenly', 'TimeWindow',
    'TokenizeCaptions', 'TokenizeTargets'
]
