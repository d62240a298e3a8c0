from typing import TYPE_CHECKING

from ...lazy_exports import lazy_exports

if TYPE_CHECKING:
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

__getattr__ = lazy_exports(
    __name__,
    dict(
        cache=['CacheFrames'],
        decoding=['DecodeVideo'],
        packing=['PackVideoCaptions'],
        random_shift=['RandomShift'],
        resizing=['ResizeCenterCrop'],
        sampling=['SampleAtRate', 'SampleEvenly'],
        segment_decoding=['SegmentDecoder', 'SegmentFrames'],
        time_window=['TimeWindow'],
        tokenization=['TokenizeCaptions', 'TokenizeTargets'],
    ),
)
