"""The moving-shapes dataset of the demo: clip generator, caption parser and caption metric."""

from .caption_parser import ParsedCaption, parse_caption
from .generator import draw_clip, split_combinations, write_split
from .metric import MovingShapesCaptionMetric

__all__ = [
    'MovingShapesCaptionMetric',
    'ParsedCaption',
    'draw_clip',
    'parse_caption',
    'split_combinations',
    'write_split',
]
