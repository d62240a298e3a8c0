from .packing import PackVideoCaptions
from .sampling import SampleAtRate, TimeWindow
from .text import TokenizeCaptions

__all__ = ['PackVideoCaptions', 'SampleAtRate', 'TimeWindow', 'TokenizeCaptions']
