from .caption import CaptionCrossEntropy
from .contrastive import SymmetricContrastiveLoss
from .gather import gather_owner, gather_with_grad

__all__ = ['CaptionCrossEntropy', 'SymmetricContrastiveLoss', 'gather_owner', 'gather_with_grad']
