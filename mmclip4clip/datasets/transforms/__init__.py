from .cache import CacheFrames
from .packing import PackVideoCaptions
from .sampling import SampleAtRate, TimeWindow
from .text import TokenizeCaptions

__all__ = ['CacheFrames', 'PackVideoCaptions', 'SampleAtRate', 'TimeWindow', 'TokenizeCaptions']
