from .adapters import (
                       BaseAdapter,
                       MeanAdapter,
                       SeqLSTMAdapter,
                       SeqTransformerAdapter,
                       TightAdapter,
                       WTIAdapter,
                       XPoolAdapter,
)
from .backbones import CLIPBackbone
from .data_preprocessor import VideoCaptionPreprocessor
from .losses import SymmetricContrastiveLoss
from .retriever import CLIP4ClipRetriever

__all__ = [
    'BaseAdapter', 'CLIP4ClipRetriever', 'CLIPBackbone', 'MeanAdapter', 'SeqLSTMAdapter',
    'SeqTransformerAdapter', 'SymmetricContrastiveLoss', 'TightAdapter', 'VideoCaptionPreprocessor',
    'WTIAdapter', 'XPoolAdapter'
]
