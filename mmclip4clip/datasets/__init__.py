from .samplers import GroupedSampler
from .transforms import PackVideoCaptions, SampleAtRate, TimeWindow, TokenizeCaptions
from .video_caption_dataset import VideoCaptionDataset

__all__ = [
    'GroupedSampler', 'PackVideoCaptions', 'SampleAtRate', 'TimeWindow', 'TokenizeCaptions',
    'VideoCaptionDataset'
]
