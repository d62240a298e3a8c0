"""The moving-shapes dataset of the demo: clip generator, caption parser and caption metric."""

from .caption_parser import ParsedCaption, parse_caption
from .drawing import draw_clip
from .generator import split_combinations, write_split
from .metric import MovingShapesCaptionMetric

__all__ = [
    'MovingShapesCaptionMetric',
    'ParsedCaption',
    'draw_clip',
    'parse_caption',
    'split_combinations',
    'write_split',
]
