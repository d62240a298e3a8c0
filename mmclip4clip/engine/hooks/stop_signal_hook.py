import logging
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_reduce, get_comm_device, is_main_process
from mmengine.hooks import Hook

from .safe_checkpoint_hook import SafeCheckpointHook


class TrainingStopped(SystemExit):
    """Exit of a training after a signal, once its state is saved.

    Examples:
        >>> from mmclip4clip.engine.hooks import TrainingStopped
        >>> try:
        ...     raise TrainingStopped(128 + 15)  # as StopSignalHook does after SIGTERM
        ... except TrainingStopped as stopped:
        ...     print(stopped.code)
        143
    """


@HOOKS.register_module()
class StopSignalHook(Hook):
    """Save a checkpoint and exit when a job scheduler or Ctrl-C sends a signal.

    The current step is finished, ``iter_N.pth`` is saved, and the process exits with 128 plus the signal
    number, as is usual in shells. ``--resume`` continues with the next step, or with the interrupted
    evaluation. An evaluation stops between two batches, or after scoring. If one process of a run receives a
    signal, all processes stop together. A second identical signal stops immediately, without saving.

    Args:
        signals (Sequence[str]): Names of the signals.

    Raises:
        ValueError: If a signal does not exist.

    Examples:
        >>> default_hooks = dict(stop_signal=dict(type='StopSignalHook', signals=['SIGTERM', 'SIGUSR1']))
    """

    priority = 'LOWEST'  # after checkpoints and the log

    def __init__(self, signals: Sequence[str] = ('SIGTERM', 'SIGINT', 'SIGUSR1')) -> None:
        unknown = [name for name in signals if name not in signal.Signals.__members__]
        if unknown:
            raise ValueError(f'signals must be names such as SIGTERM, got {unknown}')
        self.signals = [signal.Signals[name] for name in signals]
        self._before: dict[int, Any] = {}  # the handlers
        self._received, self._since = 0, 0.0  # number of the signal that came, and when
        self._saved: int | None = None  # iterations of the last checkpoint to resume from

    def before_train(self, runner) -> None:
        """Install the handlers; workers that are forked later inherit them and survive Ctrl-C."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in self.signals}

    def after_train(self, runner) -> None:
        """Restore the previous handlers."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Store the iteration of a resumable checkpoint; best checkpoints contain only weights."""
        if 'optimizer' in checkpoint:
            self._saved = checkpoint['meta']['iter']

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Stop after a step.

        Raises:
            TrainingStopped: If a signal was received.
        """
        self._stop_if_signaled(runner, runner.iter + 1)

    def after_val_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Stop within an evaluation of a training, which starts again when the run resumes.

        Raises:
            TrainingStopped: If a signal was received.
        """
        if self._before:
            self._stop_if_signaled(runner, runner.iter)

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Stop after an evaluation of a training, if a signal was received during scoring.

        Raises:
            TrainingStopped: If a signal was received.
        """
        if self._before:
            self._stop_if_signaled(runner, runner.iter)

    def _on_signal(self, number: int, frame) -> None:
        # A scheduler may send a signal twice at once.
        if self._received == number and time.monotonic() > self._since + 1:
            signal.signal(number, self._before.get(number) or signal.SIG_DFL)
            signal.raise_signal(number)
        if not self._received:
            self._since = time.monotonic()
        self._received = number

    def _stop_if_signaled(self, runner, done: int) -> None:
        received = torch.tensor(self._received, device=get_comm_device())
        all_reduce(received, 'max')
        if not received:
            return
        name = signal.Signals(int(received)).name
        if self._saved != done:
            self._save(runner, done)
        runner.logger.log(
            logging.WARNING,
            f'{name}: saved after {done} iterations in {runner.work_dir}; --resume continues from there',
        )
        self.after_train(runner)
        raise TrainingStopped(128 + int(received))

    def _save(self, runner, done: int) -> None:
        hook = next((hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)), None)
        if hook is not None:
            hook.save_interim(runner, done)
            return
        filename = f'iter_{done}.pth'
        runner.save_checkpoint(runner.work_dir, filename, meta=dict(epoch=runner.epoch, iter=done))
        if is_main_process():
            Path(runner.work_dir, 'last_checkpoint').write_text(str(Path(runner.work_dir, filename)))
