import json
from pathlib import Path

from mmengine.runner import EpochBasedTrainLoop

from ..metrics_file import METRICS

EVALUATED = 'evaluated_iter'  # in the message hub: iterations of the last evaluated model, 0 before any
RUN_ID = 'run_id'  # in the message hub: distinguishes the runs of one folder


def evaluation_is_missing(runner, resumed: str) -> bool:
    """Return whether a run was stopped before the evaluation after its last step was finished.

    A checkpoint is saved again after its evaluation, with a note that it was evaluated. For checkpoints of
    earlier versions, ``metrics.json`` in the work dir and in the folder of the checkpoint is read.

    Args:
        runner (Runner): Runner that has loaded the state of the checkpoint.
        resumed (str): Path of the checkpoint.

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmclip4clip.engine.resume import evaluation_is_missing
        >>> evaluation_is_missing(SimpleNamespace(val_loop=None), 'epoch_1.pth')  # no evaluation at all
        False
    """
    if runner.val_loop is None or not evaluation_is_due(runner.train_loop):
        return False
    if EVALUATED in runner.message_hub.runtime_info:
        return runner.message_hub.get_info(EVALUATED) != runner.iter
    return not any(
        _is_listed(folder / METRICS, runner.epoch, runner.iter)
        for folder in (Path(runner.work_dir), Path(resumed).parent)
    )


def evaluation_is_due(loop) -> bool:
    """Return whether a training loop evaluates after its current number of steps.

    It does at intervals and at the end, from ``val_begin`` on.

    Args:
        loop (EpochBasedTrainLoop | IterBasedTrainLoop): Loop of mmengine.

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmclip4clip.engine.resume import evaluation_is_due
        >>> loop = SimpleNamespace(iter=5, max_iters=5, val_begin=1, val_interval=2)
        >>> loop._decide_current_val_interval = lambda: None
        >>> evaluation_is_due(loop)
        True
    """
    done, total = loop.iter, loop.max_iters
    if isinstance(loop, EpochBasedTrainLoop):
        if loop.iter != loop.epoch * len(loop.dataloader):
            return False  # the epoch is not finished
        done, total = loop.epoch, loop.max_epochs
    loop._decide_current_val_interval()
    return 0 < done >= loop.val_begin and (done % loop.val_interval == 0 or done == total)


def _is_listed(path: Path, epoch: int, iterations: int) -> bool:
    """Return whether ``metrics.json`` lists this validation; a damaged file lists none."""
    try:
        entries = json.loads(path.read_text())
        return any(
            entry['stage'] == 'val' and entry['epoch'] == epoch and entry['iter'] == iterations
            for entry in entries
        )
    except (OSError, ValueError, TypeError, LookupError):
        return False
