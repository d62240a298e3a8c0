from .adapters import (
    BaseAdapter,
    MeanAdapter,
    SeqLSTMAdapter,
    SeqTransformerAdapter,
    TightAdapter,
    WTIAdapter,
    XPoolAdapter,
)
from .backbones import BaseBackbone, CLIPBackbone, StoredFeatureBackbone
from .captioner import CLIP4ClipCaptioner
from .data_preprocessor import VideoCaptionPreprocessor
from .decoders import CaptionDecoder
from .feature_preprocessor import FeaturePreprocessor
from .losses import CaptionCrossEntropy, MILNCELoss, SigmoidLoss, SymmetricContrastiveLoss
from .retriever import CLIP4ClipRetriever

__all__ = [
    'BaseAdapter',
    'BaseBackbone',
    'CLIP4ClipCaptioner',
    'CLIP4ClipRetriever',
    'CLIPBackbone',
    'CaptionCrossEntropy',
    'CaptionDecoder',
    'FeaturePreprocessor',
    'MILNCELoss',
    'MeanAdapter',
    'SeqLSTMAdapter',
    'SeqTransformerAdapter',
    'SigmoidLoss',
    'StoredFeatureBackbone',
    'SymmetricContrastiveLoss',
    'TightAdapter',
    'VideoCaptionPreprocessor',
    'WTIAdapter',
    'XPoolAdapter',
]
