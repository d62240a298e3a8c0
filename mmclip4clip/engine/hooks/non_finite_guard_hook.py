import math
from functools import partial

import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner.base_loop import BaseLoop
from torch import Tensor, nn

from ..finite_check import (
    NonFiniteError,
    can_lower_scale,
    checkpoint_folders,
    describe_last_good,
    find_non_finite,
    join_names,
    max_abs,
    optim_wrappers,
    optimizer_tensors,
    unwrap_model,
)
from ..runner_access import local_weights


@HOOKS.register_module()
class NonFiniteGuardHook(Hook):
    """Keep NaN and infinity out of the weights and out of the checkpoints.

    If the loss or a gradient is not finite in any process, the step is skipped in all processes and changes
    neither weights nor moments. A warning names its videos. After too many consecutive skipped steps, the
    training ends with an error that names the last good checkpoint. The loss scaler of mixed precision also
    skips steps while it searches for a scale. These count only when the scale cannot be lowered further.

    Weights and optimizer state are checked before training, at the end of epochs, and before evaluations and
    checkpoints. So no checkpoint with non-finite values is saved, and no good one is removed for it.

    If all values are finite, the hook changes nothing, so the weights are the same with and without it. It
    costs one pass over the gradients per step, and the exchange of one number between processes.

    Args:
        max_skipped (int): Maximum number of consecutive skipped steps; the next one ends the training.

    Raises:
        ValueError: If ``max_skipped`` is negative.

    Examples:
        >>> default_hooks = dict(non_finite_guard=dict(type='NonFiniteGuardHook', max_skipped=3))
    """

    priority = 'HIGH'  # before checkpoints are saved

    def __init__(self, max_skipped: int = 3) -> None:
        if max_skipped < 0:
            raise ValueError(f'max_skipped must be at least 0, got {max_skipped}')
        self.max_skipped = max_skipped
        self._in_a_row = self._total = 0
        self._constants: list[str] = []  # buffers that are meant to be infinite, such as masks
        self._begin_step()

    def _begin_step(self) -> None:
        """Reset the state of a step, which has several batches if gradients are accumulated."""
        self._losses: list[tuple[str, Tensor]] = []
        self._videos: list[str] = []
        self._stepped = self._bad = False  # the same in all processes
        self._wrong: list[str] = []  # what is not finite in this process
        self._lowers_scale = False  # whether the loss scale of mixed precision may be the only cause

    def before_train(self, runner) -> None:
        """Check the weights, and register hooks on the model's losses and the optimizers' steps.

        Raises:
            NonFiniteError: If a weight is not finite before training.
        """
        model = unwrap_model(runner)
        self._constants = find_non_finite(dict(model.named_buffers()))
        start = f' from {runner._load_from}' if runner._load_from else ''
        self._check_state(runner, f'before training{start}')
        model.register_forward_hook(self._note_losses)
        for wrapper in optim_wrappers(runner):
            wrapper.optimizer.register_step_pre_hook(partial(self._check_step, model, wrapper))

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Collect the names of the videos of the step."""
        samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []
        self._videos += [str(sample.get('video_id', '?')) for sample in samples]

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Count skipped steps, and check the weights if a checkpoint is about to be saved.

        Raises:
            NonFiniteError: If too many consecutive steps were skipped, or weights are not finite.
        """
        stepped = [wrapper for wrapper in optim_wrappers(runner) if wrapper.should_update()]
        scaled = [wrapper for wrapper in stepped if isinstance(wrapper, AmpOptimWrapper)]
        if scaled and not self._stepped:  # the loss scaler found infinite gradients, and skipped the step
            self._bad, self._wrong = True, self._wrong_losses()
            self._lowers_scale = not self._wrong and all(map(can_lower_scale, scaled))
        if self._bad:
            self._skip(runner)
        elif self._stepped:
            self._in_a_row = 0
        if self._bad or self._stepped:
            self._begin_step()
        if any(
            isinstance(hook, CheckpointHook)
            and not hook.by_epoch
            and self.every_n_train_iters(runner, hook.interval)
            for hook in runner.hooks
        ):
            self._check_state(runner, 'before a checkpoint')

    def after_train_epoch(self, runner) -> None:
        """Check the weights before they are saved.

        Raises:
            NonFiniteError: If one is not finite.
        """
        self._check_state(runner, 'at the end of the epoch')

    def before_val(self, runner) -> None:
        """Check the weights of a training before they are saved as the best.

        Raises:
            NonFiniteError: If one is not finite.
        """
        if isinstance(runner._train_loop, BaseLoop):
            self._check_state(runner, 'before the evaluation')

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Reject a checkpoint with values that are not finite.

        Raises:
            NonFiniteError: In the main process, which saves, before any file is changed.
        """
        named = {**checkpoint['state_dict'], **optimizer_tensors(checkpoint.get('optimizer', {}))}
        self._refuse(
            runner, find_non_finite(self._variable(named)), 'in a checkpoint to be saved', together=False
        )

    def _note_losses(self, model: nn.Module, inputs: tuple, output: object) -> None:
        if model.training and isinstance(output, dict):
            for name in filter(lambda name: 'loss' in name, output):
                values = output[name] if isinstance(output[name], (list, tuple)) else [output[name]]
                self._losses += [(name, value.detach()) for value in values if isinstance(value, Tensor)]

    def _wrong_losses(self) -> list[str]:
        return [
            f'{name} = {value.mean():g}' for name, value in self._losses if find_non_finite({name: value})
        ]

    def _check_step(
        self,
        model: nn.Module,
        wrapper: OptimWrapper,
        optimizer: torch.optim.Optimizer,
        args: tuple,
        kwargs: dict,
    ) -> None:
        """Remove the gradients of a step that must be skipped, so that the optimizer changes nothing."""
        rates = [float(group['lr']) for group in optimizer.param_groups]
        if not all(map(math.isfinite, rates)):
            raise NonFiniteError(f'learning rates must be finite, got {rates}: check param_scheduler')
        parameters = [p for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        value = max_abs([*(p.grad for p in parameters), *(loss for _, loss in self._losses)])
        bad = (~torch.isfinite(value)).to(torch.int32)
        all_reduce(bad, 'max')
        self._stepped = True
        if not bad:
            return
        gradients = {
            f'the gradient of {name}': p.grad for name, p in model.named_parameters() if p.grad is not None
        }
        losses = self._wrong_losses()
        self._wrong += [*losses, *find_non_finite(gradients)]
        self._bad, self._lowers_scale = True, not losses and can_lower_scale(wrapper)
        for parameter in parameters:
            parameter.grad = None

    def _skip(self, runner) -> None:
        """Report a skipped step, in all processes."""
        parts = all_gather_object((self._wrong, self._videos, self._lowers_scale))
        wrong = list(dict.fromkeys(text for part in parts for text in part[0])) or ['gradients']
        what = f'epoch {runner.epoch + 1}, iteration {runner.iter + 1}: not finite: {join_names(wrong)}'
        if all(part[2] for part in parts):
            runner.logger.info(f'{what}; mixed precision lowers its loss scale')
            return
        self._in_a_row, self._total = self._in_a_row + 1, self._total + 1
        videos = f'Its videos: {", ".join(video for part in parts for video in part[1])}'
        if self._in_a_row <= self.max_skipped:
            runner.logger.warning(
                f'{what}. The step is skipped, {self._in_a_row} in a row, {self._total} in all. {videos}'
            )
            return
        last_good = describe_last_good(checkpoint_folders(runner), self._constants)
        raise NonFiniteError(
            f'{what}. This step is number {self._in_a_row} in a row, max_skipped is '
            f'{self.max_skipped}. {videos}. {last_good}'
        )

    def _check_state(self, runner, when: str) -> None:
        """Check the weights and the optimizers' states, in all processes."""
        state: dict[str, object] = dict(local_weights(runner))
        for number, wrapper in enumerate(optim_wrappers(runner)):
            state |= optimizer_tensors(wrapper.optimizer.state_dict()['state'], f'optimizer{number or ""}.')
        named = self._variable(state)
        bad = (~torch.isfinite(max_abs(named.values()))).to(torch.int32)
        all_reduce(bad, 'max')
        self._refuse(runner, (find_non_finite(named) or ['in another process']) if bad else [], when)

    def _variable(self, named: dict[str, object]) -> dict[str, Tensor]:
        """Return the tensors that training changes."""
        return {
            name: value
            for name, value in named.items()
            if isinstance(value, Tensor) and name not in self._constants
        }

    def _refuse(self, runner, names: list[str], when: str, together: bool = True) -> None:
        if names:
            last_good = describe_last_good(checkpoint_folders(runner), self._constants, together)
            raise NonFiniteError(
                f'not finite {when}, epoch {runner.epoch + 1}, iteration {runner.iter}: {join_names(names)}. '
                f'No checkpoint is saved or removed. {last_good}'
            )
