from .contrastive import SymmetricContrastiveLoss
from .gather import gather_owner, gather_with_grad

__all__ = ['SymmetricContrastiveLoss', 'gather_owner', 'gather_with_grad']
