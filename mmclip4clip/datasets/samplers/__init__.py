from .grouped import GroupedSampler

__all__ = ['GroupedSampler']
