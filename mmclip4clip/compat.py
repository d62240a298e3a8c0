"""The only home of workarounds for upstream packages.

Every workaround says what goes wrong without it, in which versions, and why it
is safe. Nothing outside this file patches another package, and nothing in it does so
on import: :func:`apply_patches` runs where a run starts.
"""

import functools
import pickle
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

# From what the tests run with to the next release that may break. A pair names the
# distribution to install and another one that provides the same import.
REQUIRED = {
    ('torch',): '>=2.13,<3',
    ('mmengine', 'mmengine-lite'): '>=0.10.7,<0.11',
    ('mmcv-lite', 'mmcv'): '>=2.0.1,<2.1',
    ('mmaction2',): '>=1.1.0,<1.2',
    ('transformers',): '>=5.23,<6',
    ('decord', 'eva-decord'): '>=0.6.0,<0.7',
    ('av',): '>=18.1,<19',
    ('ftfy',): '>=6.3,<7',
    ('setuptools',): '<82',
}


def check_versions() -> None:
    """Refuse to go on with an upstream package that is missing or does not fit.

    mmaction2 1.2.0 installs but cannot import ``mmaction.models`` (its wheel
    lacks a folder), and mmaction2 1.1.0 asserts mmcv < 2.1; both fail far from
    their cause, so the cause is named here, before anything else is imported.

    Raises:
        ImportError: Naming the package, the version found, the range needed and
            the line that installs it.
    """
    problems = []
    for names, needed in REQUIRED.items():
        found = {}
        for name in names:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        wrong = {n: v for n, v in found.items() if not SpecifierSet(needed).contains(v, prereleases=True)}
        if wrong or not found:
            came = ', '.join(f'{n} {v}' for n, v in wrong.items()) or 'no such package'
            others = [n for n in wrong if n != names[0]]
            remove = f'pip uninstall -y {" ".join(others)} && ' if others else ''
            problems.append(
                f"{names[0]}{needed} is needed, {came} was found: {remove}pip install '{names[0]}{needed}'"
            )
    if problems:
        raise ImportError('mmclip4clip cannot run with what is installed:\n  ' + '\n  '.join(problems))


@functools.cache
def apply_patches() -> None:
    """Patch the packages below once, for the rest of the process.

    Called where a run starts: by ``apis``, when a model or dataset of ours is made, and with the first
    lookup of a class in ``mmaction.registry``. Importing ``mmclip4clip`` alone patches nothing, so call this
    first where a checkpoint is loaded by other means, as by an inferencer that is given nothing but weights.
    """
    guard_checkpoints()
    distribute_without_gpu()
    repair_color_jitter()
    save_atomically()


def history_buffer_method(cls: type, name: str):
    """Stand in for ``getattr`` in mmengine's checkpoints, for four methods of one class.

    Raises:
        pickle.UnpicklingError: For any other class or attribute.
    """
    from mmengine.logging import HistoryBuffer

    if cls is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'the checkpoint asks for the attribute {name!r} of {cls!r}')
    return getattr(HistoryBuffer, name)


@functools.cache
def allow_mmengine_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` read what mmengine itself saves.

    Symptom: mmengine <= 0.10.7 cannot load its own checkpoints on torch >= 2.6,
    where ``weights_only=True`` became the default: the message hub pickles
    ``HistoryBuffer``, numpy arrays and a ``getattr`` of the buffer's methods.

    Safe because what is allowed only makes plain arrays and attributes: numpy's
    names are resolved to the stand-ins of :mod:`mmclip4clip.safe_pickle`, and
    ``getattr`` to :func:`history_buffer_method`. Tested in ``tests/test_compat.py``
    with malicious checkpoints.
    """
    import torch
    from mmengine.logging import HistoryBuffer

    from .safe_pickle import STAND_INS, PlainArray

    allowed = [HistoryBuffer, PlainArray, *((value, name) for name, value in STAND_INS.items())]
    allowed += [(history_buffer_method, f'{module}.getattr') for module in ('builtins', '__builtin__')]
    torch.serialization.add_safe_globals(allowed)


@functools.cache
def guard_checkpoints() -> None:
    """Let every loader of mmengine verify files, run nothing in them and say what is wrong with one.

    Symptoms: torch.load does not compare checksums, and its message for an unsafe file (>= 2.6) advises
    ``weights_only=False``, which would run the code in the file. mmengine <= 0.10.7 downloads through
    ``torch.hub``, whose default is still ``weights_only=False``; ``Runner.resume`` evaluates
    ``meta['config']`` as Python, and ``BaseInferencer`` the config in the checkpoint where it is given none.
    What mmengine itself saves can be read afterwards, see :func:`allow_mmengine_checkpoints`.

    Safe because all replacements only narrow what is loaded.
    """
    from mmengine.infer import BaseInferencer
    from mmengine.runner import checkpoint

    from . import checkpoint_guard as guard

    allow_mmengine_checkpoints()
    loader = checkpoint.CheckpointLoader
    loader.load_checkpoint = classmethod(guard.load_checkpoint_safely(loader.load_checkpoint))
    checkpoint.torch = guard.VerifiedTorch('torch')
    checkpoint.load_url = functools.partial(guard.load_url_verified, checkpoint.load_url)
    BaseInferencer._init_model = guard.require_config(BaseInferencer._init_model)


@functools.cache
def distribute_without_gpu() -> None:
    """Let ``--launcher pytorch`` run on machines without an accelerator.

    Symptom: mmengine <= 0.10.7 calls ``torch.cuda.set_device`` whatever the
    backend, and gives DDP a device id that a model on the CPU must not have.

    Safe because both replacements act only where there is no accelerator, where
    the originals can only fail.
    """
    import torch.distributed as torch_dist
    from mmengine.device import get_device
    from mmengine.dist import utils
    from mmengine.runner import Runner

    init_dist_pytorch, wrap_model = utils._init_dist_pytorch, Runner.wrap_model

    def init_dist_on_cpu(backend, init_backend='torch', **kwargs) -> None:
        if get_device() != 'cpu':
            return init_dist_pytorch(backend, init_backend=init_backend, **kwargs)
        return torch_dist.init_process_group('gloo' if backend == 'nccl' else backend, **kwargs)

    def wrap_model_on_cpu(self, model_wrapper_cfg, model):
        if get_device() == 'cpu' and self.distributed and model_wrapper_cfg is None:
            model_wrapper_cfg = dict(
                type='MMDistributedDataParallel',
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get('find_unused_parameters', False),
            )
        return wrap_model(self, model_wrapper_cfg, model)

    utils._init_dist_pytorch, Runner.wrap_model = init_dist_on_cpu, wrap_model_on_cpu


@functools.cache
def repair_color_jitter() -> None:
    """Let mmaction2's ``ColorJitter`` run on numpy 2, and draw all that it draws from an item's own numbers.

    Symptom: mmaction2 1.1.0 adds a Python integer to hues of uint8. On numpy >= 2 that is an OverflowError
    for every turn to the left, that is for half of all clips. Turns to the right of more than 76 steps
    (``hue`` above 0.3) wrap at 256 instead of 180 and give colors at random, on any numpy. And the order of
    brightness, contrast, saturation and hue is drawn when the transform is made, so it depends on what was
    built before and changes when a run is resumed.

    Safe because hues turn as they did on numpy 1 wherever that was right, and because every clip of the
    original drew four numbers in the same way; only the order is drawn beside them now, for each clip. Tested
    in ``tests/datasets/transforms/test_augmentations.py``.
    """
    import cv2
    import numpy as np
    from mmaction.datasets.transforms import ColorJitter

    transform = ColorJitter.transform

    def adjust_hue(img: np.ndarray, factor: float) -> np.ndarray:
        hsv = cv2.cvtColor(np.clip(img, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(factor * 255)) % 180  # OpenCV's hues end at 180
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)

    def transform_in_new_order(self, results: dict) -> dict:
        self.fn_idx = np.random.permutation(4)
        return transform(self, results)

    ColorJitter.adjust_hue = staticmethod(adjust_hue)
    ColorJitter.transform = transform_in_new_order


@functools.cache
def save_atomically() -> None:
    """Let a checkpoint take its name only when it is whole on the disk.

    Symptom: mmengine <= 0.10.7 opens the final file and writes into it, so a run that is killed meanwhile,
    or meets a full disk, has lost the checkpoint of that name that it had, and keeps part of one.

    Safe because the same bytes end up in the same file; one that is no regular file, such as ``/dev/stdout``,
    is written as before. Everything that mmengine saves to a disk goes this way: checkpoints of the runner,
    best and published ones.
    """
    from mmengine.fileio import LocalBackend

    from .atomic_file import atomic_file

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
