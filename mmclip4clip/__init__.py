"""CLIP4Clip for OpenMMLab: find videos by text, end to end.

Importing the package registers its modules in ``mmaction.registry``.
"""

from . import compat

compat.check_versions()
compat.allow_mmengine_checkpoints()
compat.guard_checkpoints()
compat.distribute_without_gpu()
compat.repair_color_jitter()
compat.save_atomically()

from . import datasets, engine, evaluation, models, moving_shapes, visualization  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models', 'moving_shapes', 'visualization']
