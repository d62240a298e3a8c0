from .samplers import DistinctVideoBatchSampler, GroupedSampler
from .transforms import (
    CacheFrames,
    DecodeVideo,
    PackVideoCaptions,
    RandomShift,
    SampleAtRate,
    SampleEvenly,
    TimeWindow,
    TokenizeCaptions,
    TokenizeTargets,
)
from .video_caption_dataset import VideoCaptionDataset

__all__ = [
    'CacheFrames', 'DecodeVideo', 'DistinctVideoBatchSampler', 'GroupedSampler', 'PackVideoCaptions',
    'RandomShift', 'SampleAtRate', 'SampleEvenly', 'TimeWindow', 'TokenizeCaptions', 'TokenizeTargets',
    'VideoCaptionDataset'
]
