from .cache import CacheFrames
from .decoding import DecodeVideo
from .packing import PackVideoCaptions
from .random_shift import RandomShift
from .resizing import ResizeCenterCrop
from .sampling import SampleAtRate, SampleEvenly
from .segment_decoding import SegmentDecoder, SegmentFrames
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
    'SegmentDecoder',
    'SegmentFrames',
    'TimeWindow',
    'TokenizeCaptions',
    'TokenizeTargets',
]
