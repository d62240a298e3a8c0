from .samplers import DistinctVideoBatchSampler, GroupedSampler
from .transforms import (
    CacheFrames,
    DecodeVideo,
    PackVideoCaptions,
    SampleAtRate,
    TimeWindow,
    TokenizeCaptions,
)
from .video_caption_dataset import VideoCaptionDataset

__all__ = [
    'CacheFrames', 'DecodeVideo', 'DistinctVideoBatchSampler', 'GroupedSampler', 'PackVideoCaptions',
    'SampleAtRate', 'TimeWindow', 'TokenizeCaptions', 'VideoCaptionDataset'
]
