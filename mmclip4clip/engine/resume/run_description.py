"""Describe the settings of a run, which its checkpoints contain."""

import json

from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop

from ...datasets.dataset_traversal import leaf_datasets


def describe_run(runner) -> dict:
    """Describe the settings of a training as plain data, before it starts.

    Args:
        runner (Runner): Runner with train loop, optimizer and schedulers, and no loaded checkpoint.

    Examples:
        >>> from mmclip4clip.engine.resume import describe_run
        >>> describe_run(runner)['optimizer']  # in a hook's before_run  # doctest: +SKIP
        'AdamW'
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
        schedulers=[type(scheduler).__name__ for scheduler in all_schedulers(runner.param_schedulers)],
    )
    if not isinstance(wrapper, OptimWrapperDict):
        run.update(
            accumulative_counts=wrapper._accumulative_counts,
            optimizer=type(wrapper.optimizer).__name__,
            lr=sorted({float(g.get('initial_lr', g['lr'])) for g in wrapper.optimizer.param_groups}),
        )
    return json.loads(json.dumps(run, default=str))


def all_schedulers(schedulers) -> list:
    """Return schedulers or their states as one list, including those of several optimizers."""
    if isinstance(schedulers, dict):
        return [one for part in schedulers.values() for one in part]
    return list(schedulers or [])
