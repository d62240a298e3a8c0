from .base import BaseBackbone
from .clip import CLIPBackbone

__all__ = ['BaseBackbone', 'CLIPBackbone']
