"""Compare the settings of a run with those of the checkpoint that it resumes."""

import inspect
import json
import logging
from collections.abc import Iterator

from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict

from .run_description import all_schedulers

KEY = 'mmclip4clip'  # in a checkpoint's meta; its entry 'run' has the settings
# Values of describe_run that must be equal, with their names in messages.
MEANINGS = dict(
    data='training data (digest of its videos and captions)',
    loop='kind of training loop',
    iters_per_epoch='iterations in an epoch',
    dataset_length='training samples',
    batch_size='train_dataloader.batch_size',
    world_size='processes',
    order='order of the training data',
    accumulative_counts='optim_wrapper.accumulative_counts',
    optimizer='optimizer',
    lr='learning rates',
    schedulers='param_scheduler',
)
# Settings of parameter groups that change during a run, or select an implementation with the same result.
FREE_SETTINGS = {'params', 'lr', 'foreach', 'fused', 'capturable', 'differentiable'}


def check_resumable(runner, checkpoint: dict, run: dict, name: str) -> None:
    """Check that a checkpoint is complete and that the run has the same settings.

    mmengine does not compare them: it would keep a schedule for another number of epochs, and restart a
    schedule that is not in the checkpoint.

    Args:
        runner (Runner): Runner as in :func:`describe_run`.
        checkpoint (dict): Content of the checkpoint, not loaded yet.
        run (dict): Result of :func:`describe_run` for the runner.
        name (str): Path of the checkpoint, for errors.

    Raises:
        RuntimeError: If something is missing or differs. The message lists everything and says what to do.

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmclip4clip.engine.resume import check_resumable
        >>> runner = SimpleNamespace(param_schedulers=None)
        >>> check_resumable(runner, dict(state_dict={}), {}, 'best.pth')  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        RuntimeError: best.pth cannot be resumed: it has no ...
    """
    missing = _missing(checkpoint, bool(all_schedulers(runner.param_schedulers)))
    if missing:
        raise RuntimeError(
            f'{name} cannot be resumed: it has no {", no ".join(missing)}. Best, published and converted '
            'checkpoints contain only weights. Resume from epoch_N.pth or iter_N.pth, or start a new '
            f'training from these weights, without --resume and with --cfg-options load_from={name}'
        )
    meta = checkpoint['meta']
    saved = (meta.get(KEY) or {}).get('run')
    problems = [
        f'{MEANINGS[key]}: {saved[key]} in the checkpoint, {run.get(key)} now'
        for key in MEANINGS
        if saved and key in saved and saved[key] != run.get(key)
    ]
    if not saved:
        print_log(
            f'{name} does not contain the settings of its run: only its steps, schedule and optimizer are '
            'compared with this config',
            logger='current',
            level=logging.WARNING,
        )
        problems += _compare_steps(meta, run)
    problems += _compare_ends(meta, run, runner._randomness_cfg.get('seed'))
    problems += _compare_lengths(saved or {}, run, all_schedulers(runner.param_schedulers))
    problems += _compare_schedules(runner.param_schedulers, checkpoint.get('param_schedulers') or [])
    if not isinstance(runner.optim_wrapper, OptimWrapperDict):
        problems += _compare_optimizers(runner, checkpoint['optimizer'])
    if problems:
        raise RuntimeError(
            f'{name} cannot be resumed with this config:\n  ' + '\n  '.join(problems) + '\n'
            'Resume a training with the settings that it started with. To change them, start a new training '
            'from these weights, without --resume and with --cfg-options '
            f'load_from={name}'
        )


def _missing(checkpoint: dict, has_schedule: bool) -> list[str]:
    """List the missing parts of a checkpoint."""
    if not isinstance(checkpoint, dict):
        return ['parts']
    needed = dict(meta='step counts (meta)', message_hub='message_hub', optimizer='optimizer state')
    if has_schedule:
        needed['param_schedulers'] = 'scheduler state (param_schedulers)'
    missing = [meaning for key, meaning in needed.items() if key not in checkpoint]
    steps = checkpoint.get('meta') or {}
    if 'meta' in checkpoint and not all(isinstance(steps.get(key), int) for key in ('epoch', 'iter')):
        missing.append(needed['meta'])
    return missing


def _compare_steps(meta: dict, run: dict) -> Iterator[str]:
    """Check that the step counts of a checkpoint match the length of an epoch."""
    epoch, done, length = meta['epoch'], meta['iter'], run['iters_per_epoch']
    if run['loop'] == 'epochs' and done != epoch * length:
        yield (
            f'{MEANINGS["iters_per_epoch"]}: the checkpoint has {done} iterations after {epoch} epochs, '
            f'which are {epoch * length} iterations now; the data, the batch size or the number of '
            'processes differ, or it was saved within an epoch or by another kind of training loop'
        )


def _compare_ends(meta: dict, run: dict, seed: int | None) -> Iterator[str]:
    """Compare the end of a run with the finished steps, and the seeds if the config sets one."""
    unit = 'epoch' if run['loop'] == 'epochs' else 'iter'
    if meta[unit] > run[f'max_{unit}s']:
        yield (
            f'train_cfg.max_{unit}s: {run[f"max_{unit}s"]} now, and the checkpoint has trained for '
            f'{meta[unit]}, so no steps remain'
        )
    if seed is not None and meta.get('seed') is not None and seed != meta['seed']:
        yield f'seed: {meta["seed"]} in the checkpoint, {seed} now'


def _compare_lengths(saved: dict, run: dict, schedulers: list) -> Iterator[str]:
    """Find schedules that end with the original training: in a longer one the rate would stay constant."""
    if run['max_iters'] <= saved.get('max_iters', run['max_iters']):
        return
    for number, scheduler in enumerate(schedulers):
        unit = 'epochs' if scheduler.by_epoch else 'iters'
        if abs(scheduler.end - saved[f'max_{unit}']) <= (0 if scheduler.by_epoch else 1):
            yield (
                f'train_cfg.max_{unit}: {saved[f"max_{unit}"]} in the checkpoint, {run[f"max_{unit}"]} '
                f'now, and param_scheduler[{number}] ({type(scheduler).__name__}) ends at '
                f'{scheduler.end}: after that the rate would stay constant'
            )


def _compare_schedules(fresh, saved) -> Iterator[str]:
    """Compare the settings of schedules, but not their progress.

    Settings are the arguments of a scheduler, converted to this run's number of steps. If they are equal, the
    schedules are equal too, even if the run has more epochs.
    """
    fresh, saved = all_schedulers(fresh), all_schedulers(saved)
    if len(fresh) != len(saved):
        yield f'param_scheduler: {len(saved)} schedulers in the checkpoint, {len(fresh)} now'
        return
    for number, (scheduler, state) in enumerate(zip(fresh, saved)):
        now = scheduler.state_dict()
        for key in sorted((_arguments(type(scheduler)) | {'base_values'}) & set(now)):
            if key not in state:
                yield f'param_scheduler[{number}]: in the checkpoint it is not a {type(scheduler).__name__}'
                break
            if _plain(now[key]) != _plain(state[key]):
                yield (
                    f'param_scheduler[{number}].{key} ({type(scheduler).__name__}): '
                    f'{_short(state[key])} in the checkpoint, {_short(now[key])} now'
                )


def _compare_optimizers(runner, saved: dict) -> Iterator[str]:
    """Compare the settings of parameter groups, which loading the checkpoint would replace."""
    if ('loss_scaler' in saved) != ('loss_scaler' in runner.optim_wrapper.state_dict()):
        yield (
            f'mixed precision (--amp): {"on" if "loss_scaler" in saved else "off"} in the checkpoint, '
            f'{"off" if "loss_scaler" in saved else "on"} now'
        )
    groups, saved = runner.optim_wrapper.optimizer.param_groups, saved['param_groups']
    sizes, saved_sizes = ([len(group['params']) for group in part] for part in (groups, saved))
    if sizes != saved_sizes:
        yield (
            f'parameter groups of the optimizer: {len(saved)} with {sum(saved_sizes)} parameters in the '
            f'checkpoint, {len(groups)} with {sum(sizes)} now'
        )
        return
    scheduled = {scheduler.param_name for scheduler in all_schedulers(runner.param_schedulers)}
    free = FREE_SETTINGS | scheduled | ({'betas'} if 'momentum' in scheduled else set())
    differ: dict[str, str] = {}
    for group, old in zip(groups, saved):
        for key in sorted(set(old) - free):  # old checkpoints lack settings of newer torch versions
            if key not in group or _plain(group[key]) != _plain(old[key]):
                differ.setdefault(
                    key,
                    f'{key} of the optimizer: {old[key]} in the checkpoint, '
                    f'{group.get(key, "no such setting")} now',
                )
    yield from differ.values()


def _arguments(kind: type) -> set:
    """Return the names of all settings of a scheduler."""
    names = {
        name
        for cls in kind.__mro__
        if '__init__' in vars(cls)
        for name in inspect.signature(vars(cls)['__init__']).parameters
    }
    return names - {'self', 'args', 'kwargs', 'optimizer', 'last_step', 'verbose'}


def _plain(value) -> str:
    """Convert settings to comparable text: tuples like lists, tensors like numbers."""
    return json.dumps(value, sort_keys=True, default=lambda v: v.tolist() if hasattr(v, 'tolist') else str(v))


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + '...'
