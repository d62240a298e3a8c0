"""All workarounds for upstream packages.

Every workaround documents the symptom, the affected versions, and why it is safe. No other file patches
another package. Importing this file patches nothing either: :func:`apply_patches` is called when a run
starts.
"""

import functools
import logging
import os
import pickle
import subprocess
import warnings
from pathlib import Path

from packaging.version import Version


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


@functools.cache
def find_packages() -> None:
    """Let mmengine find packages without ``pkg_resources``, and this one in an editable installation.

    Symptom: for ``_base_ = 'mmaction::...'``, mmengine <= 0.10.7 asks ``pkg_resources`` for the folder of the
    package. setuptools 82 no longer has it, Python 3.12 installs no setuptools, and it names a wrong folder
    if the installation is editable.

    Safe because other packages are found as before if ``pkg_resources`` is there.
    """
    from importlib.util import find_spec

    from mmengine import utils
    from mmengine.config import config
    from mmengine.hub import hub
    from mmengine.utils import package_utils

    is_missing = find_spec('pkg_resources') is None
    find_installed, find_path = package_utils.is_installed, package_utils.get_installed_path

    def is_installed(package: str) -> bool:
        if not is_missing and package != 'mmclip4clip':
            return find_installed(package)
        return find_spec(package.replace('-', '_')) is not None

    def get_installed_path(package: str) -> str:
        if not is_missing and package != 'mmclip4clip':
            return find_path(package)
        spec = find_spec(package.replace('-', '_'))
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f'there is no package {package!r}, or it is a namespace package')
        return str(Path(spec.origin).parent)

    for module in (package_utils, utils, config, hub):
        for function in (is_installed, get_installed_path):
            if hasattr(module, function.__name__):
                setattr(module, function.__name__, function)


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

    from .safe_pickle import STAND_INS, PlainArray
    from .tensor_unpickler import unpickler_module

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

    from . import checkpoint_guard as guard

    allow_mmengine_checkpoints()
    loader = checkpoint.CheckpointLoader
    loader.load_checkpoint = classmethod(guard.load_checkpoint_safely(loader.load_checkpoint))
    checkpoint.torch = guard.VerifiedTorch('torch')
    checkpoint.load_url = guard.load_url_verified
    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = checkpoint.torch.load
    BaseInferencer._init_model = guard.require_config(BaseInferencer._init_model)


@functools.cache
def distribute_without_gpu() -> None:
    """Make ``--launcher pytorch`` and ``slurm`` work on machines without an accelerator.

    Symptom: mmengine <= 0.10.7 calls ``torch.cuda.set_device`` for every backend, and passes DDP a device id,
    which is not allowed for a model on the CPU.

    Safe because the replacements only act without an accelerator, where the originals fail.
    """
    import torch.distributed as torch_dist
    from mmengine.device import get_device
    from mmengine.dist import utils
    from mmengine.runner import Runner

    init_dist_pytorch, wrap_model = utils._init_dist_pytorch, Runner.wrap_model
    init_dist_slurm = utils._init_dist_slurm

    def init_dist_on_cpu(backend, init_backend='torch', **kwargs) -> None:
        if get_device() != 'cpu':
            return init_dist_pytorch(backend, init_backend=init_backend, **kwargs)
        return torch_dist.init_process_group('gloo' if backend == 'nccl' else backend, **kwargs)

    def init_slurm_on_cpu(backend, port: int | None = None, **kwargs) -> None:
        if get_device() != 'cpu':
            init_dist_slurm(backend, port=port, **kwargs)
            return
        slurm = dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID')
        os.environ.update({name: os.environ[theirs] for name, theirs in slurm.items()})
        if port is not None:
            os.environ['MASTER_PORT'] = str(port)
        os.environ.setdefault('MASTER_PORT', '29500')  # torch's default
        if 'MASTER_ADDR' not in os.environ:
            shown = ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']]
            found = subprocess.run(shown, capture_output=True, text=True, check=True)
            os.environ['MASTER_ADDR'] = found.stdout.split()[0]
        init_dist_on_cpu(backend, **kwargs)

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
    utils._init_dist_slurm = init_slurm_on_cpu


@functools.cache
def mix_precision_without_gpu() -> None:
    """Let ``AmpOptimWrapper`` train in bfloat16 on machines without an accelerator.

    Symptom: mmengine <= 0.10.7 refuses to build it there, although its ``autocast`` has bfloat16 on the CPU.

    Safe because it only acts without an accelerator, where the original fails. bfloat16 has the range of
    float32, so the loss scaler is off, as torch's own is without a GPU. float16 stays an error: mmengine's
    ``autocast`` does not have it on the CPU.
    """
    import torch
    from mmengine.device import get_device
    from mmengine.optim.optimizer import amp_optimizer_wrapper as amp

    init = amp.AmpOptimWrapper.__init__

    def init_on_cpu(self, loss_scale='dynamic', dtype=None, use_fsdp: bool = False, **kwargs) -> None:
        if get_device() != 'cpu' or amp.is_cuda_available():
            init(self, loss_scale=loss_scale, dtype=dtype, use_fsdp=use_fsdp, **kwargs)
            return
        if dtype not in (None, 'bfloat16', torch.bfloat16):
            raise ValueError(
                f"optim_wrapper.dtype={str(dtype)!r} needs a GPU; on the CPU it must be 'bfloat16'"
            )
        amp.OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param, self.cast_dtype = None, torch.bfloat16
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)  # that torch.cuda.amp has another name
            self.loss_scaler = amp.GradScaler(enabled=False)

    amp.AmpOptimWrapper.__init__ = init_on_cpu


@functools.cache
def repair_color_jitter() -> None:
    """Make mmaction2's ``ColorJitter`` run on numpy 2, with all random numbers drawn per clip.

    Symptoms: mmaction2 1.1.0 adds a Python integer to uint8 hues. On numpy >= 2, every negative shift raises
    an OverflowError, which is half of all clips. Positive shifts of more than 76 steps (``hue`` above
    0.3) wrap at 256 instead of 180 and give wrong colors on any numpy. The order of brightness, contrast,
    saturation and hue is drawn when the transform is built, so it depends on what was built before and
    changes when a run is resumed.

    Safe because hues are shifted as on numpy 1 where that was correct. Each clip still draws the same four
    numbers; only the order is now drawn for each clip too.
    ``tests/datasets/transforms/test_augmentations.py`` tests it.
    """
    import cv2
    import numpy as np
    from mmaction.datasets.transforms import ColorJitter

    transform = ColorJitter.transform

    def adjust_hue(img: np.ndarray, factor: float) -> np.ndarray:
        hsv = cv2.cvtColor(np.clip(img, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(factor * 255)) % 180  # OpenCV's hues are below 180
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)

    def transform_in_random_order(self, results: dict) -> dict:
        self.fn_idx = np.random.permutation(4)
        return transform(self, results)

    ColorJitter.adjust_hue = staticmethod(adjust_hue)
    ColorJitter.transform = transform_in_random_order


@functools.cache
def save_atomically() -> None:
    """Make mmengine write checkpoints atomically.

    Symptom: mmengine <= 0.10.7 writes directly into the final file. If the run is killed or the disk is full,
    the previous checkpoint of that name is lost, and a partial one remains.

    Safe because the same bytes are written to the same file. Special files such as ``/dev/stdout`` are
    written as before. All files that mmengine saves to a disk are written this way.
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


@functools.cache
def ignore_missing_operators() -> None:
    """Suppress mmcv's advice to install mmcv instead of mmcv-lite.

    Symptom: mmcv-lite warns at the import of its transformer blocks that ``MultiScaleDeformableAttention``
    needs mmcv. No model of this package uses it, so mmcv-lite is enough.

    Safe because building that operator still fails with an error that names mmcv.
    """
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


@functools.cache
def ignore_generation_advice() -> None:
    """Suppress advice of ``generate`` that does not apply to captions.

    Symptoms: transformers < 5 takes a prompt that ends with the padding token for a padded one. GPT-2's
    tokenizer has one token for the start, the end and the padding of a caption, so each batch would log the
    advice to pad on the left. transformers < 4.56 says that a caption which uses all positions exceeds them.

    Safe because captions start from one token each, and the decoder itself checks their length.
    """
    advice = (
        'A decoder-only architecture is being used, but right-padding was detected!',
        'This is a friendly reminder - the current text generation call will exceed',
    )
    for module in ('utils', 'stopping_criteria'):
        logging.getLogger(f'transformers.generation.{module}').addFilter(
            lambda record: not str(record.msg).startswith(advice)
        )


@functools.cache
def format_configs_once() -> None:
    """Format the text of a config once, not at each of its uses.

    Symptom: mmengine <= 0.10.7 lets yapf format the whole config for the file in the work dir, for its hook
    of runtime information and for each checkpoint, which takes most of a second each time.

    Safe because the output depends on the text and the style alone, and both are compared.
    """
    from mmengine.config import config

    if not hasattr(config, 'FormatCode'):  # onedl-mmengine imports it when it is used
        return
    format_code = config.FormatCode
    known: dict[tuple[str, str, str], tuple[str, bool]] = {}

    def format_once(text: str, style_config: dict, **options) -> tuple[str, bool]:
        key = text, repr(style_config), repr(options)
        formatted = known.get(key)
        if formatted is None:
            formatted = format_code(text, style_config=style_config, **options)
            known.clear()  # a run has one config
            known[key] = formatted
        return formatted  # another thread may have replaced it in known

    config.FormatCode = format_once
