from .raw_cosine import RawCosineLR
from .warm_up import WarmUpLR
from .warm_up_cosine import WarmUpCosineLR

__all__ = ['RawCosineLR', 'WarmUpCosineLR', 'WarmUpLR']
