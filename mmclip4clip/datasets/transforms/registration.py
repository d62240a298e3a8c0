"""Importing this module registers the transforms in ``mmaction.registry``."""

from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from .cache import CacheFrames
from .decoding import DecodeVideo
from .packing import PackVideoCaptions
from .random_shift import RandomShift
from .resizing import ResizeCenterCrop
from .sampling import SampleAtRate, SampleEvenly
from .time_window import TimeWindow
from .tokenization import TokenizeCaptions, TokenizeTargets
from .transform import Transform

REGISTERED = (CacheFrames, PackVideoCaptions, RandomShift, TokenizeCaptions, TokenizeTargets)  # by themselves
BaseTransform.register(Transform)
for cls in (DecodeVideo, ResizeCenterCrop, SampleAtRate, SampleEvenly, TimeWindow):
    TRANSFORMS.register_module(module=cls)
