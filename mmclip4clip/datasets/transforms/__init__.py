from .cache import CacheFrames
from .decoding import DecodeVideo
from .packing import PackVideoCaptions
from .resizing import ResizeCenterCrop
from .sampling import SampleAtRate, SampleEvenly
from .shifting import RandomShift
from .text import TokenizeCaptions, TokenizeTargets
from .time_window import TimeWindow

__all__ = [
    'CacheFrames',
    'DecodeVideo',
    'PackVideoCaptions',
    'RandomShift',
    'ResizeCenterCrop',
    'SampleAtRate',
    'SampleEvenly',
    'TimeWindow',
    'TokenizeCaptions',
    'TokenizeTargets',
]
