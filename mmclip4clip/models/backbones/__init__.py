from .base import BaseBackbone
from .clip import CLIPBackbone
from .stored_features import StoredFeatureBackbone

__all__ = ['BaseBackbone', 'CLIPBackbone', 'StoredFeatureBackbone']
