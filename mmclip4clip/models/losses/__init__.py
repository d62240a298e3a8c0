from .caption import CaptionCrossEntropy
from .contrastive import SymmetricContrastiveLoss
from .gather import gather_video_index, gather_with_grad, offset_video_index
from .mil_nce import MILNCELoss
from .sigmoid import SigmoidLoss

__all__ = [
    'CaptionCrossEntropy',
    'MILNCELoss',
    'SigmoidLoss',
    'SymmetricContrastiveLoss',
    'gather_video_index',
    'gather_with_grad',
    'offset_video_index',
]
