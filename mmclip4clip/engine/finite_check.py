"""Check tensors and checkpoints for NaN and infinity."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from ..checkpoint_reading import load_checkpoint


class NonFiniteError(RuntimeError):
    """Raised if the loss, gradients or weights of a training are NaN or infinite.

    Examples:
        >>> from mmclip4clip.engine.finite_check import NonFiniteError, find_non_finite
        >>> names = find_non_finite(dict(weight=torch.ones(2), bias=torch.tensor([float('nan')])))
        >>> raise NonFiniteError(f'not finite: {names}')
        Traceback (most recent call last):
        mmclip4clip.engine.finite_check.NonFiniteError: not finite: ['bias']
    """


def max_abs(tensors: Iterable[Tensor]) -> Tensor:
    """Return the largest absolute value of all tensors, NaN or infinity if they contain any.

    This is one fused pass. Unlike a sum of squares, it cannot overflow if all values are finite.

    Args:
        tensors (Iterable[Tensor]): Tensors of any shapes and devices. Integer tensors are ignored.

    Returns:
        Tensor: The maximum, 0 without tensors, ().
    """
    floating = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if hasattr(torch.nn.utils, 'get_total_norm'):
        return torch.nn.utils.get_total_norm(floating, norm_type=math.inf)
    # torch < 2.6: one pass for each tensor.
    norms = [torch.linalg.vector_norm(tensor, math.inf) for tensor in floating]
    return torch.stack([norm.to(norms[0].device) for norm in norms]).max() if norms else torch.zeros(())


def is_finite(tensors: Iterable[Tensor]) -> bool:
    """Return whether all values of all tensors are finite."""
    return bool(torch.isfinite(max_abs(tensors)))


def find_non_finite(named: dict[str, Tensor]) -> list[str]:
    """Return the names of tensors with values that are not finite, in one pass if there are none."""
    if is_finite(named.values()):
        return []
    return [name for name, tensor in named.items() if not is_finite([tensor])]


def join_names(names: list[str], count: int = 5) -> str:
    """List the first names and the number of further ones."""
    return ', '.join(names[:count]) + (f' and {len(names) - count} more' if len(names) > count else '')


def optimizer_tensors(state: dict, prefix: str = 'optimizer.') -> dict[str, Tensor]:
    """Collect the tensors in the state dict of one or several optimizers by their dotted path."""
    found = {}
    for key, value in state.items():
        if isinstance(value, Tensor):
            found[f'{prefix}{key}'] = value
        elif isinstance(value, dict):
            found |= optimizer_tensors(value, f'{prefix}{key}.')
    return found


def last_finite_checkpoint(folders: Iterable[Path], constants: Sequence[str] = ()) -> Path | None:
    """Find the newest intact checkpoint with finite weights.

    Args:
        folders (Iterable[Path]): Folders in which a run saves checkpoints.
        constants (Sequence[str]): Names of buffers that contain infinity on purpose.
    """
    files = {path for folder in folders for path in folder.glob('*.pth') if path.is_file()}
    for path in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            content = load_checkpoint(path)
            weights = content.get('state_dict', content)
            if is_finite(
                value
                for name, value in weights.items()
                if isinstance(value, Tensor) and name not in constants
            ):
                return path
        except (RuntimeError, OSError, AttributeError):  # damaged, deleted in the meantime, or not a dict
            continue
    return None


def describe_last_good(folders: Sequence[Path], constants: Sequence[str] = (), together: bool = True) -> str:
    """Return a sentence that names the last checkpoint with finite weights.

    Args:
        folders (Sequence[Path]): Folders in which a run saves checkpoints.
        constants (Sequence[str]): Names of buffers that contain infinity on purpose.
        together (bool): Whether all processes call this function. Then the main process searches and
            broadcasts the result.
    """
    found = [last_finite_checkpoint(folders, constants) if is_main_process() else None]
    if together:
        broadcast_object_list(found)
    if found[0] is None:
        return f'There is no good checkpoint in {" and ".join(map(str, folders))}'
    return f'The last good checkpoint is {found[0]}'


def checkpoint_folders(runner) -> list[Path]:
    """Return the local folders in which a run saves checkpoints, including the work dir."""
    outs = [str(hook.out_dir) for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.out_dir]
    return list(dict.fromkeys(Path(out) for out in [str(runner.work_dir), *outs] if '://' not in out))


def unwrap_model(runner) -> nn.Module:
    """Return the model without its wrapper for distributed training."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def optim_wrappers(runner) -> list[OptimWrapper]:
    """Return all optimizer wrappers of a run."""
    wrapper = runner.optim_wrapper
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def can_lower_scale(wrapper: OptimWrapper) -> bool:
    """Return whether infinite gradients may be caused by the loss scale of mixed precision alone."""
    if not isinstance(wrapper, AmpOptimWrapper) or wrapper._scale_update_param is not None:
        return False
    return wrapper.loss_scaler.is_enabled() and wrapper.loss_scaler.get_scale() >= 1
