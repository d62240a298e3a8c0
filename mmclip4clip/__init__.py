"""CLIP4Clip for OpenMMLab: end-to-end video-text retrieval and captioning.

Importing the package imports neither torch nor OpenMMLab's packages. When mmaction2 is imported, or at once
if mmengine is there already, the locations of the classes of this package are registered in
``mmaction.registry``, which imports the classes at the first lookup. Other packages are patched when a run
starts, see :func:`mmclip4clip.compat.apply_patches`.
"""

import sys
from importlib import import_module
from typing import Any

from .command_start import command_start

with command_start():
    from .installed_versions import check_versions

    check_versions()  # before an unsuitable version is imported

    from .import_hooks import after_import, around_import
    from .registration import register_configs, register_lazily
    from .upstream_imports import importable_mmaction
    from .version import __version__

    around_import('mmaction', importable_mmaction)
    after_import('mmaction.registry', register_lazily)
    after_import('mmengine.config.utils', register_configs)
    if sys.modules.get('mmengine') is not None:  # a config or a tool that may build classes next
        import_module('mmaction.registry')

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models', 'moving_shapes', 'visualization']
SUBPACKAGES = (*__all__[1:], 'apis', 'checkpoints', 'compat', 'export', 'preparation', 'search', 'tokenizers')
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
