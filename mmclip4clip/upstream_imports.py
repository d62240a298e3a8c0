"""Repairs without which mmaction2 cannot be imported in some supported environments.

They act on the import system alone: no function or class of another package is changed. All other workarounds
are in :mod:`mmclip4clip.compat`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from packaging.version import Version

DRN = 'mmaction.models.localizers.drn'


class MissingDRN(MetaPathFinder, Loader):
    """Finder that provides the localizer ``DRN`` where mmaction2 has none, as an error at construction.

    Symptoms: the wheel of mmaction2 1.2.0 lacks the folder ``models/localizers/drn``, so that
    ``mmaction.models`` raises ModuleNotFoundError. Its source and the fork ``otxmmaction2`` have the folder,
    and raise the same error where torchvision is missing, which only DRN needs.

    Safe because a DRN that works is found before: this finder is asked last if there is torchvision.
    """

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find the two missing modules, and nothing else."""
        if fullname not in (DRN, f'{DRN}.drn'):
            return None
        return ModuleSpec(fullname, self, is_package=fullname == DRN)

    def exec_module(self, module: ModuleType) -> None:
        """Define the class that ``mmaction.models.localizers`` imports."""

        class DRN:
            """Localizer that this installation of mmaction2 lacks."""

            def __init__(self, *_: object, **__: object) -> None:
                raise ImportError(
                    'the localizer DRN needs torchvision, and the wheel of mmaction2 1.2.0 lacks it: '
                    'install torchvision, and install mmaction2 from source'
                )

        vars(module)['DRN'] = DRN


@contextmanager
def importable_mmaction() -> Iterator[None]:
    """Let mmaction2 be imported within this context, where it would fail for no reason that matters here.

    Symptoms: mmaction2 1.1.0 asserts mmcv < 2.1 and mmaction2 1.2.0 asserts mmcv < 2.2, though they run with
    all versions that this package supports. mmaction2 1.2.0 imports its multimodal models wherever there is
    transformers, and fails where their other requirements are missing, or transformers is 5 or newer. To
    find that out it needs ``importlib_metadata``, which is ``importlib.metadata`` since Python 3.8.
    :class:`MissingDRN` describes one more.

    Safe because mmcv shows another version only while the few lines of mmaction2's ``__init__`` run, and
    mmaction2 itself registers placeholders for multimodal models that it does not import.
    """
    if not any(isinstance(finder, MissingDRN) for finder in sys.meta_path):
        last = len(sys.meta_path)
        sys.meta_path.insert(0 if find_spec('torchvision') is None else last, MissingDRN())
    import mmcv

    version = mmcv.__version__
    mmcv.__version__ = '2.0.1'
    try:
        yield
    finally:
        mmcv.__version__ = version
    if find_spec('mmaction.utils.dependency') is not None:
        repair_dependency_checks()


def repair_dependency_checks() -> None:
    """Import mmaction2's checks of optional packages, and correct what they say of multimodal models."""
    if find_spec('importlib_metadata') is None:
        sys.modules['importlib_metadata'] = metadata
    try:
        from mmaction.utils import dependency
    finally:
        if sys.modules.get('importlib_metadata') is metadata:
            del sys.modules['importlib_metadata']
    if not multimodal_models_work():
        dependency.WITH_MULTIMODAL = False


def multimodal_models_work() -> bool:
    """Return whether mmaction2's multimodal models can be imported."""
    is_old = Version(metadata.version('transformers')).major < 5
    return is_old and find_spec('timm') is not None and find_spec('torchvision') is not None
