from .adapters import BaseAdapter, MeanAdapter, SeqTransformerAdapter
from .backbones import CLIPBackbone
from .data_preprocessor import VideoCaptionPreprocessor
from .losses import SymmetricContrastiveLoss
from .retriever import CLIP4ClipRetriever

__all__ = [
    'BaseAdapter', 'CLIP4ClipRetriever', 'CLIPBackbone', 'MeanAdapter', 'SeqTransformerAdapter',
    'SymmetricContrastiveLoss', 'VideoCaptionPreprocessor'
]
