from .distinct_videos import DistinctVideoBatchSampler
from .grouped import GroupedSampler
from .resumable import ResumableBatchSampler

__all__ = ['DistinctVideoBatchSampler', 'GroupedSampler', 'ResumableBatchSampler']
