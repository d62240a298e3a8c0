"""CLIP4Clip for OpenMMLab: end-to-end video-text retrieval and captioning.

Importing the package registers the locations of its classes in ``mmaction.registry``, which imports them at
the first lookup. Other packages are patched when a run starts, see :func:`mmclip4clip.compat.apply_patches`.
"""

from importlib import import_module
from typing import Any

from .command_start import command_start

with command_start():
    from .installed_versions import check_versions

    check_versions()  # before an unsuitable version is imported

    from .upstream_imports import import_mmaction

    import_mmaction()

    from . import compat  # noqa: F401
    from .registration import register_configs, register_lazily
    from .version import __version__

    register_lazily()
    register_configs()

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models', 'moving_shapes', 'visualization']
SUBPACKAGES = (*__all__[1:], 'apis', 'checkpoints', 'preparation', 'search', 'tokenizers')
FUNCTIONS = ('load', 'get_model', 'list_models', 'create_index', 'open_index')  # of apis


def __getattr__(name: str) -> Any:
    """Import a subpackage, or a function to load a model, when it is first used."""
    if name in FUNCTIONS:
        return getattr(import_module(f'{__name__}.apis'), name)
    if name in SUBPACKAGES:
        return import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *SUBPACKAGES, *FUNCTIONS})
