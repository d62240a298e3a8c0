"""The demo's dataset: generated clips of moving shapes, and a metric of captions about them."""

from .captions import SaidOfShape, parse_caption
from .generator import draw_clip, split_combinations, write_split
from .metric import MovingShapesCaptionMetric

__all__ = [
    'MovingShapesCaptionMetric',
    'SaidOfShape',
    'draw_clip',
    'parse_caption',
    'split_combinations',
    'write_split',
]
