from .distinct_videos import DistinctVideoBatchSampler
from .grouped import GroupedSampler
from .resumable import ResumableBatchSampler
from .window_batches import WindowBatchSampler

__all__ = ['DistinctVideoBatchSampler', 'GroupedSampler', 'ResumableBatchSampler', 'WindowBatchSampler']
