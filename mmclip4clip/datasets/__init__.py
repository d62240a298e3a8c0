from .samplers import DistinctVideoBatchSampler, GroupedSampler
from .transforms import PackVideoCaptions, SampleAtRate, TimeWindow, TokenizeCaptions
from .video_caption_dataset import VideoCaptionDataset

__all__ = [
    'DistinctVideoBatchSampler', 'GroupedSampler', 'PackVideoCaptions', 'SampleAtRate', 'TimeWindow',
    'TokenizeCaptions', 'VideoCaptionDataset'
]
