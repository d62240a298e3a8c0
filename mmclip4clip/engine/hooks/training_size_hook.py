import re
import resource
from pathlib import Path

import torch
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log

from ..runner_access import unwrapped_model, whole_weights

STATUS = Path('/proc/self/status')  # Linux


@HOOKS.register_module()
class TrainingSizeHook(Hook):
    """Log how many parameters train when training starts, and its peak memory when it ends.

    On a GPU, the memory is that of tensors on it, as in mmengine's lines; otherwise the resident memory of
    the process since its start. Both are those of the main process, without its data workers.

    Examples:
        >>> default_hooks = dict(training_size=dict(type='TrainingSizeHook'))
    """

    def __init__(self) -> None:
        self._peak = 0  # of the GPU, bytes; mmengine resets torch's own peak whenever it logs

    def before_train(self, runner) -> None:
        """Log the number of trained parameters, of all, and their share."""
        trains = getattr(getattr(runner, 'strategy', None), 'trained', None)
        if trains:  # FSDP leaves a part of each parameter to each process
            weights = whole_weights(runner)
        else:  # LoRA has other names in the state dict
            weights = dict(unwrapped_model(runner).named_parameters())
            trains = {name: parameter.requires_grad for name, parameter in weights.items()}
        sizes = {name: weight.numel() for name, weight in weights.items() if name in trains}
        trained, total = sum(sizes[name] for name in sizes if trains[name]), sum(sizes.values())
        print_log(
            f'trained parameters: {trained:,} of {total:,} ({trained / max(1, total):.2%})', logger='current'
        )

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Note the peak memory of the GPU before mmengine's logger resets it."""
        if torch.cuda.is_available():
            self._peak = max(self._peak, torch.cuda.max_memory_allocated())

    def after_train(self, runner) -> None:
        """Log the peak memory."""
        what = 'of tensors on the GPU' if self._peak else 'of the process'
        peak = self._peak or peak_memory()
        print_log(f'peak memory {what}: {peak / 2**20:,.0f} MiB', logger='current')


def peak_memory() -> int:
    """Return the peak resident memory of this process since its program started, in bytes.

    The kernel's own figure is read where there is one, because the one of ``getrusage`` includes the
    memory of the program that started this one.

    Examples:
        >>> peak_memory() > 2**20
        True
    """
    status = STATUS.read_text() if STATUS.exists() else ''
    found = re.search(r'^VmHWM:\s+(\d+) kB$', status, re.MULTILINE)
    return 1024 * (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
