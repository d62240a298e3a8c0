import logging
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_reduce, get_comm_device, is_main_process
from mmengine.hooks import Hook

from .safe_checkpoint_hook import SafeCheckpointHook


class TrainingStopped(SystemExit):
    """The end of a training that a signal asked to stop, once its state is saved."""


@HOOKS.register_module()
class StopSignalHook(Hook):
    """Save and exit when a signal asks a training to stop, as job schedulers and Ctrl-C do.

    The step that runs is finished, ``iter_N.pth`` is saved, and the process exits with 128 plus the number of
    the signal, as a shell reports it. ``--resume`` goes on with the next step, or with the evaluation that
    was interrupted. Within an evaluation it stops between two batches, or once all is scored. All processes
    of a run stop together if one of them gets a signal. The same signal a second time stops at once, without
    saving.

    Args:
        signals (Sequence[str]): Names of the signals.

    Raises:
        ValueError: If there is no such signal.
    """

    priority = 'LOWEST'  # after checkpoints and the log

    def __init__(self, signals: Sequence[str] = ('SIGTERM', 'SIGINT', 'SIGUSR1')) -> None:
        unknown = [name for name in signals if name not in signal.Signals.__members__]
        if unknown:
            raise ValueError(f'signals must be names such as SIGTERM, got {unknown}')
        self.signals = [signal.Signals[name] for name in signals]
        self._before: dict[signal.Signals, object] = {}
        self._received, self._since = 0, 0.0  # number of the signal that came, and when
        self._saved: int | None = None  # iterations of the last checkpoint to resume from

    def before_train(self, runner) -> None:
        """Take over the signals; workers that are forked later inherit this, and do not die of Ctrl-C."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in self.signals}

    def after_train(self, runner) -> None:
        """Give the signals back."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Note how far the last checkpoint goes that can be resumed; best ones hold weights alone."""
        if 'optimizer' in checkpoint:
            self._saved = checkpoint['meta']['iter']

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Stop after a step.

        Raises:
            TrainingStopped: If a signal has come.
        """
        self._stop_if_signaled(runner, runner.iter + 1)

    def after_val_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Stop within an evaluation of a training, which a resume begins again.

        Raises:
            TrainingStopped: If a signal has come.
        """
        if self._before:
            self._stop_if_signaled(runner, runner.iter)

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Stop after an evaluation of a training; one that came while it was scored is answered here.

        Raises:
            TrainingStopped: If a signal has come.
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
            f'{name}: saved after {done} iterations in {runner.work_dir}; --resume goes on from there',
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
