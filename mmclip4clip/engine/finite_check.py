"""Whether numbers are finite: asked of many tensors at once, and of checkpoints."""

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
    """A training whose loss, gradients or weights are no longer numbers."""


def max_abs(tensors: Iterable[Tensor]) -> Tensor:
    """Return the largest absolute value of all tensors, NaN or infinite if one of them is.

    That is one fused pass. Unlike a sum of squares it does not overflow where all values are finite.

    Args:
        tensors (Iterable[Tensor]): Of any shapes and devices; those of whole numbers are passed over.

    Returns:
        Tensor: One value, 0 if there is no tensor, ().
    """
    floating = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    return torch.nn.utils.get_total_norm(floating, norm_type=float('inf'))


def is_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all values of all tensors are finite."""
    return bool(torch.isfinite(max_abs(tensors)))


def find_non_finite(named: dict[str, Tensor]) -> list[str]:
    """Return the names of tensors with a value that is not finite; one pass where there is none."""
    if is_finite(named.values()):
        return []
    return [name for name, tensor in named.items() if not is_finite([tensor])]


def join_names(names: list[str], count: int = 5) -> str:
    """List the first names, and say how many there are."""
    return ', '.join(names[:count]) + (f' and {len(names) - count} more' if len(names) > count else '')


def optimizer_tensors(state: dict, prefix: str = 'optimizer.') -> dict[str, Tensor]:
    """Collect the tensors in the state dict of an optimizer, or of several, by the path to each."""
    found = {}
    for key, value in state.items():
        if isinstance(value, Tensor):
            found[f'{prefix}{key}'] = value
        elif isinstance(value, dict):
            found |= optimizer_tensors(value, f'{prefix}{key}.')
    return found


def last_finite_checkpoint(folders: Iterable[Path], constants: Sequence[str] = ()) -> Path | None:
    """Find the newest checkpoint of some folders that is undamaged and whose weights are finite.

    Args:
        folders (Iterable[Path]): Where a run saves.
        constants (Sequence[str]): Buffers that are meant to be infinite.
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
        except (RuntimeError, OSError, AttributeError):  # damaged, gone meanwhile, or no dict
            continue
    return None


def describe_last_good(folders: Sequence[Path], constants: Sequence[str] = (), together: bool = True) -> str:
    """Say from which checkpoint a run can go on.

    Args:
        folders (Sequence[Path]): Where a run saves.
        constants (Sequence[str]): Buffers that are meant to be infinite.
        together (bool): Whether all processes ask: the main one looks, and all wait for it.
    """
    found = [last_finite_checkpoint(folders, constants) if is_main_process() else None]
    if together:
        broadcast_object_list(found)
    if found[0] is None:
        return f'{" and ".join(map(str, folders))} has no good checkpoint'
    return f'The last good checkpoint is {found[0]}'


def checkpoint_folders(runner) -> list[Path]:
    """Return the work dir and the other folders on this machine that a run saves its checkpoints in."""
    outs = [str(hook.out_dir) for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.out_dir]
    return list(dict.fromkeys(Path(out) for out in [str(runner.work_dir), *outs] if '://' not in out))


def unwrap_model(runner) -> nn.Module:
    """Return the model itself, without what distributes it."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def optim_wrappers(runner) -> list[OptimWrapper]:
    """Return the optimizer wrapper of a run, or all of several."""
    wrapper = runner.optim_wrapper
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def can_lower_scale(wrapper: OptimWrapper) -> bool:
    """Whether gradients may be infinite only because of the scale of the loss in mixed precision."""
    if not isinstance(wrapper, AmpOptimWrapper) or wrapper._scale_update_param is not None:
        return False
    return wrapper.loss_scaler.is_enabled() and wrapper.loss_scaler.get_scale() >= 1
