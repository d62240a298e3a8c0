from .warm_up import WarmUpLR

__all__ = ['WarmUpLR']
