"""Let mmengine's checkpoints be loaded safely, and written atomically."""

import functools
import pickle
from pathlib import Path

from packaging.version import Version


def history_buffer_method(cls: type, name: str):
    """Replace ``getattr`` in mmengine's checkpoints; it only returns four methods of ``HistoryBuffer``.

    Raises:
        pickle.UnpicklingError: For any other class or attribute.
    """
    from mmengine.logging import HistoryBuffer

    if cls is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'the checkpoint asks for the attribute {name!r} of {cls!r}')
    return getattr(HistoryBuffer, name)


@functools.cache
def allow_mmengine_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` load checkpoints of mmengine.

    Symptom: mmengine <= 0.10.7 cannot load its own checkpoints on torch >= 2.6, where ``weights_only=True``
    became the default: the message hub pickles ``HistoryBuffer``, numpy arrays and a ``getattr`` of the
    buffer's methods. Before 2.6 the list of what torch allows cannot be extended by name, or not at all: its
    unpickler is replaced by that of :mod:`mmclip4clip.tensor_unpickler`.

    Safe because the allowed names can only create plain arrays and read attributes: numpy's names are mapped
    to the replacements in :mod:`mmclip4clip.safe_pickle`, and ``getattr`` to :func:`history_buffer_method`.
    ``tests/test_compat.py`` tests it with malicious checkpoints.
    """
    import torch
    from mmengine.logging import HistoryBuffer

    from ..safe_pickle import STAND_INS, PlainArray
    from ..tensor_unpickler import unpickler_module

    allowed = {f'{cls.__module__}.{cls.__name__}': cls for cls in (HistoryBuffer, PlainArray)} | STAND_INS
    allowed |= {f'{module}.getattr': history_buffer_method for module in ('builtins', '__builtin__')}
    if Version(torch.__version__).release >= (2, 6):
        torch.serialization.add_safe_globals([(value, name) for name, value in allowed.items()])
    else:
        torch.serialization._weights_only_unpickler = unpickler_module(allowed)


@functools.cache
def guard_checkpoints() -> None:
    """Make the loaders of mmengine verify files, run no code from them, and raise helpful errors.

    Symptoms: torch.load does not compare checksums, and its message for an unsafe file (>= 2.6) advises
    ``weights_only=False``, which would run the code in the file. mmengine <= 0.10.7 downloads through
    ``torch.hub``, whose default is still ``weights_only=False``. Its ``Runner.resume`` evaluates
    ``meta['config']`` as Python, and ``BaseInferencer`` evaluates the config in the checkpoint if it gets no
    other. The ``_safe_torch_load`` of onedl-mmengine loads a file that torch refuses once more with
    ``weights_only=False``, and allows any ``getattr`` before. Checkpoints of mmengine can still be loaded,
    see :func:`allow_mmengine_checkpoints`.

    Safe because the replacements only restrict what is loaded.
    """
    from mmengine.infer import BaseInferencer
    from mmengine.runner import checkpoint

    from .. import checkpoint_guard as guard

    allow_mmengine_checkpoints()
    loader = checkpoint.CheckpointLoader
    loader.load_checkpoint = classmethod(guard.load_checkpoint_safely(loader.load_checkpoint))
    checkpoint.torch = guard.VerifiedTorch('torch')
    checkpoint.load_url = guard.load_url_verified
    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = checkpoint.torch.load
    BaseInferencer._init_model = guard.require_config(BaseInferencer._init_model)


@functools.cache
def save_atomically() -> None:
    """Make mmengine write checkpoints atomically.

    Symptom: mmengine <= 0.10.7 writes directly into the final file. If the run is killed or the disk is full,
    the previous checkpoint of that name is lost, and a partial one remains.

    Safe because the same bytes are written to the same file. Special files such as ``/dev/stdout`` are
    written as before. All files that mmengine saves to a disk are written this way.
    """
    from mmengine.fileio import LocalBackend

    from ..atomic_file import atomic_file

    put = LocalBackend.put

    def put_atomically(self, obj: bytes, filepath: str | Path) -> None:
        path = Path(filepath)
        if path.exists() and not path.is_file():
            put(self, obj, filepath)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as file:
                file.write(obj)

    LocalBackend.put = put_atomically
