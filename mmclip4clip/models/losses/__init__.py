from .caption import CaptionCrossEntropy
from .contrastive import SymmetricContrastiveLoss
from .gather import gather_video_index, gather_with_grad
from .mil_nce import MILNCELoss

__all__ = [
    'CaptionCrossEntropy',
    'MILNCELoss',
    'SymmetricContrastiveLoss',
    'gather_video_index',
    'gather_with_grad',
]
