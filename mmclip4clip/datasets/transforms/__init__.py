from .cache import CacheFrames
from .decoding import DecodeVideo
from .packing import PackVideoCaptions
from .random_shift import RandomShift
from .resizing import ResizeCenterCrop
from .sampling import SampleAtRate, SampleEvenly
from .time_window import TimeWindow
from .tokenization import TokenizeCaptions, TokenizeTargets

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
