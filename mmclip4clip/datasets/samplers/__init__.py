from .distinct_videos import DistinctVideoBatchSampler
from .grouped import GroupedSampler

__all__ = ['DistinctVideoBatchSampler', 'GroupedSampler']
