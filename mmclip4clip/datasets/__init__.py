from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .feature_dataset import FeatureDataset
    from .feature_files import FeatureFolder
    from .samplers import (
        DistinctVideoBatchSampler,
        GroupedSampler,
        ResumableBatchSampler,
        WindowBatchSampler,
    )
    from .seeded_dataset import SeededDataset
    from .transforms import (
        CacheFrames,
        DecodeVideo,
        PackVideoCaptions,
        RandomShift,
        ResizeCenterCrop,
        SampleAtRate,
        SampleEvenly,
        SegmentDecoder,
        SegmentFrames,
        TimeWindow,
        TokenizeCaptions,
        TokenizeTargets,
    )
    from .video_caption_dataset import VideoCaptionDataset

__all__ = [
    'CacheFrames',
    'DecodeVideo',
    'DistinctVideoBatchSampler',
    'FeatureDataset',
    'FeatureFolder',
    'GroupedSampler',
    'PackVideoCaptions',
    'RandomShift',
    'ResizeCenterCrop',
    'ResumableBatchSampler',
    'SampleAtRate',
    'SampleEvenly',
    'SeededDataset',
    'SegmentDecoder',
    'SegmentFrames',
    'TimeWindow',
    'TokenizeCaptions',
    'TokenizeTargets',
    'VideoCaptionDataset',
    'WindowBatchSampler',
]

__getattr__ = lazy_exports(
    __name__,
    dict(
        feature_dataset=['FeatureDataset'],
        feature_files=['FeatureFolder'],
        samplers=[
            'DistinctVideoBatchSampler',
            'GroupedSampler',
            'ResumableBatchSampler',
            'WindowBatchSampler',
        ],
        seeded_dataset=['SeededDataset'],
        transforms=[
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
        ],
        video_caption_dataset=['VideoCaptionDataset'],
    ),
)
