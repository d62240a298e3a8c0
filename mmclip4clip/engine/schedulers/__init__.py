from .raw_cosine import RawCosineLR
from .warm_up import WarmUpLR

__all__ = ['RawCosineLR', 'WarmUpLR']
