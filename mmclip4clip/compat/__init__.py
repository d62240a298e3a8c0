"""All workarounds for upstream packages.

Every workaround documents the symptom, the affected versions, and why it is safe. No other folder patches
another package. Importing this one patches nothing either: :func:`apply_patches` is called when a run starts.
"""

import functools

from .checkpoints import allow_mmengine_checkpoints, guard_checkpoints, history_buffer_method, save_atomically
from .color_jitter import repair_color_jitter
from .config_text import format_configs_once
from .cpu_training import distribute_without_gpu, mix_precision_without_gpu
from .packages import find_packages
from .superfluous_advice import ignore_generation_advice, ignore_missing_operators

__all__ = [
    'apply_patches',
    'allow_mmengine_checkpoints',
    'guard_checkpoints',
    'history_buffer_method',
    'save_atomically',
    'repair_color_jitter',
    'format_configs_once',
    'distribute_without_gpu',
    'mix_precision_without_gpu',
    'find_packages',
    'ignore_generation_advice',
    'ignore_missing_operators',
]


@functools.cache
def apply_patches() -> None:
    """Apply all patches once per process.

    ``apis``, the models and datasets of this package, and the first lookup of a class in
    ``mmaction.registry`` call this function. Importing ``mmclip4clip`` does not. So call it before you load a
    checkpoint by other means, such as an inferencer that gets only weights.
    """
    find_packages()
    guard_checkpoints()
    distribute_without_gpu()
    mix_precision_without_gpu()
    repair_color_jitter()
    save_atomically()
    ignore_missing_operators()
    ignore_generation_advice()
    format_configs_once()
