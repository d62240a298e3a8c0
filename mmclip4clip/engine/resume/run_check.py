"""What a run must keep to go on as it began, and the comparison with a checkpoint."""

import inspect
import json
import logging
from collections.abc import Iterator

from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop

from ...datasets.dataset_traversal import leaf_datasets

KEY = 'mmclip4clip'  # in a checkpoint's meta; what is compared here is under 'run'
# How to call the values of describe_run that must be equal.
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
# Settings of parameter groups that change in a run, or only the way to the same result.
FREE_SETTINGS = {'params', 'lr', 'foreach', 'fused', 'capturable', 'differentiable'}


def describe_run(runner) -> dict:
    """Describe a training that has not begun, as plain data.

    Args:
        runner (Runner): With its train loop, optimizer and schedulers built, nothing loaded.
    """
    loop, loader, wrapper = runner.train_loop, runner.train_dataloader, runner.optim_wrapper
    cfg = runner.cfg.get('train_dataloader') or {}
    order = {key: cfg.get(key) for key in ('sampler', 'batch_sampler', 'drop_last')}
    run = dict(
        loop='epochs' if isinstance(loop, EpochBasedTrainLoop) else 'iterations',
        max_epochs=loop.max_epochs,
        max_iters=loop.max_iters,
        iters_per_epoch=len(loader),
        dataset_length=len(loader.dataset),
        data=[getattr(leaf, 'content', None) for leaf in leaf_datasets(loader.dataset)],
        batch_size=getattr(loader.batch_sampler, 'batch_size', loader.batch_size),
        world_size=get_world_size(),
        order=order,
        schedulers=[type(scheduler).__name__ for scheduler in _schedulers(runner.param_schedulers)],
    )
    if not isinstance(wrapper, OptimWrapperDict):
        run.update(
            accumulative_counts=wrapper._accumulative_counts,
            optimizer=type(wrapper.optimizer).__name__,
            lr=sorted({float(g.get('initial_lr', g['lr'])) for g in wrapper.optimizer.param_groups}),
        )
    return json.loads(json.dumps(run, default=str))


def check_resumable(runner, checkpoint: dict, run: dict, name: str) -> None:
    """See that a checkpoint has all that a run needs to go on, and that the run is the one it was.

    mmengine loads what it finds: a schedule that was made for other epochs stays as it was, one that is not
    in the file begins anew.

    Args:
        runner (Runner): As for :func:`describe_run`.
        checkpoint (dict): What was read, not yet loaded.
        run (dict): What :func:`describe_run` says of the runner.
        name (str): The file, for errors.

    Raises:
        RuntimeError: Naming all that is missing or differs, and what to do.
    """
    missing = _missing(checkpoint, bool(_schedulers(runner.param_schedulers)))
    if missing:
        raise RuntimeError(
            f'{name} cannot be resumed: it has no {", no ".join(missing)}. Best, published and converted '
            'checkpoints hold weights alone. Resume from epoch_N.pth or iter_N.pth, or begin a new training '
            f'from these weights, without --resume and with --cfg-options load_from={name}'
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
            f'{name} does not say how its run was set up: only its steps, schedule and optimizer are '
            'compared with this config',
            logger='current',
            level=logging.WARNING,
        )
        problems += _compare_steps(meta, run)
    problems += _compare_ends(meta, run, runner._randomness_cfg.get('seed'))
    problems += _compare_lengths(saved or {}, run, _schedulers(runner.param_schedulers))
    problems += _compare_schedules(runner.param_schedulers, checkpoint.get('param_schedulers') or [])
    if not isinstance(runner.optim_wrapper, OptimWrapperDict):
        problems += _compare_optimizers(runner, checkpoint['optimizer'])
    if problems:
        raise RuntimeError(
            f'{name} cannot be resumed with this config:\n  ' + '\n  '.join(problems) + '\n'
            'A resumed training goes on as it began: give it the settings that it began with. For others, '
            'begin a new training from these weights, without --resume and with --cfg-options '
            f'load_from={name}'
        )


def _missing(checkpoint: dict, has_schedule: bool) -> list[str]:
    """List what a checkpoint lacks."""
    if not isinstance(checkpoint, dict):
        return ['parts']
    needed = dict(meta='record of its steps (meta)', message_hub='message_hub', optimizer='optimizer state')
    if has_schedule:
        needed['param_schedulers'] = 'state of the schedule (param_schedulers)'
    missing = [meaning for key, meaning in needed.items() if key not in checkpoint]
    steps = checkpoint.get('meta') or {}
    if 'meta' in checkpoint and not all(isinstance(steps.get(key), int) for key in ('epoch', 'iter')):
        missing.append(needed['meta'])
    return missing


def _compare_steps(meta: dict, run: dict) -> Iterator[str]:
    """Infer from the steps of a checkpoint whether its epochs were as long."""
    epoch, done, length = meta['epoch'], meta['iter'], run['iters_per_epoch']
    if run['loop'] == 'epochs' and done != epoch * length:
        yield (
            f'{MEANINGS["iters_per_epoch"]}: the checkpoint has {done} iterations after {epoch} epochs, '
            f'which are {epoch * length} iterations now; the data, the batch size or the number of '
            'processes differ, or it was saved within an epoch or by a training of another kind'
        )


def _compare_ends(meta: dict, run: dict, seed: int | None) -> Iterator[str]:
    """Compare how far a run goes, and the seed if the config sets one."""
    unit = 'epoch' if run['loop'] == 'epochs' else 'iter'
    if meta[unit] > run[f'max_{unit}s']:
        yield (
            f'train_cfg.max_{unit}s: {run[f"max_{unit}s"]} now, and the checkpoint has trained for '
            f'{meta[unit]}: nothing is left to train'
        )
    if seed is not None and meta.get('seed') is not None and seed != meta['seed']:
        yield f'seed: {meta["seed"]} in the checkpoint, {seed} now'


def _compare_lengths(saved: dict, run: dict, schedulers: list) -> Iterator[str]:
    """Find schedules that ended with the training as it was: in a longer one the rate would stay there."""
    if run['max_iters'] <= saved.get('max_iters', run['max_iters']):
        return
    for number, scheduler in enumerate(schedulers):
        unit = 'epochs' if scheduler.by_epoch else 'iters'
        if abs(scheduler.end - saved[f'max_{unit}']) <= (0 if scheduler.by_epoch else 1):
            yield (
                f'train_cfg.max_{unit}: {saved[f"max_{unit}"]} in the checkpoint, {run[f"max_{unit}"]} '
                f'now, and param_scheduler[{number}] ({type(scheduler).__name__}) ends at '
                f'{scheduler.end}: the rate would stay at its last value'
            )


def _compare_schedules(fresh, saved) -> Iterator[str]:
    """Compare the settings of schedules; that the steps done differ is what they are saved for.

    Settings are the arguments of a scheduler, as built for this run's number of steps: where these are equal,
    so is the whole schedule, also of a run with more epochs.
    """
    fresh, saved = _schedulers(fresh), _schedulers(saved)
    if len(fresh) != len(saved):
        yield f'param_scheduler: {len(saved)} schedulers in the checkpoint, {len(fresh)} now'
        return
    for number, (scheduler, state) in enumerate(zip(fresh, saved)):
        now = scheduler.state_dict()
        for key in sorted((_arguments(type(scheduler)) | {'base_values'}) & set(now)):
            if key not in state:
                yield f'param_scheduler[{number}]: the one in the checkpoint is no {type(scheduler).__name__}'
                break
            if _plain(now[key]) != _plain(state[key]):
                yield (
                    f'param_scheduler[{number}].{key} ({type(scheduler).__name__}): '
                    f'{_short(state[key])} in the checkpoint, {_short(now[key])} now'
                )


def _compare_optimizers(runner, saved: dict) -> Iterator[str]:
    """Compare the settings of parameter groups, which the checkpoint's would replace."""
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
    scheduled = {scheduler.param_name for scheduler in _schedulers(runner.param_schedulers)}
    free = FREE_SETTINGS | scheduled | ({'betas'} if 'momentum' in scheduled else set())
    differ: dict[str, str] = {}
    for group, old in zip(groups, saved):
        for key in sorted(set(old) - free):  # what a newer torch has added is not in old ones
            if key not in group or _plain(group[key]) != _plain(old[key]):
                differ.setdefault(
                    key,
                    f'{key} of the optimizer: {old[key]} in the checkpoint, '
                    f'{group.get(key, "no such setting")} now',
                )
    yield from differ.values()


def _schedulers(schedulers) -> list:
    """Return schedulers, or their states, in a list, also those of several optimizers."""
    if isinstance(schedulers, dict):
        return [one for part in schedulers.values() for one in part]
    return list(schedulers or [])


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
    """Make settings comparable, whether they are tuples or lists, numbers or tensors of one."""
    return json.dumps(value, sort_keys=True, default=lambda v: v.tolist() if hasattr(v, 'tolist') else str(v))


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + '...'
