import json
from pathlib import Path

from mmengine.runner import EpochBasedTrainLoop

from ..metrics_file import METRICS

EVALUATED = 'evaluated_iter'  # in the message hub: iterations of the last evaluated model, 0 before any
RUN_ID = 'run_id'  # likewise: tells the runs of one folder apart


def evaluation_is_missing(runner, resumed: str) -> bool:
    """Tell whether a run was stopped between its last step and the end of the evaluation after it.

    What was evaluated is in the checkpoint itself, which is saved once more after each evaluation. Of
    checkpoints that do not say it, ``metrics.json`` in the work dir and beside the checkpoint is asked.

    Args:
        runner (Runner): With the state of the checkpoint loaded.
        resumed (str): The checkpoint.
    """
    if runner.val_loop is None or not _is_due(runner.train_loop):
        return False
    if EVALUATED in runner.message_hub.runtime_info:
        return runner.message_hub.get_info(EVALUATED) != runner.iter
    return not any(
        _is_listed(folder / METRICS, runner.epoch, runner.iter)
        for folder in (Path(runner.work_dir), Path(resumed).parent)
    )


def _is_due(loop) -> bool:
    """Tell whether mmengine's loops evaluate after as many steps as the loop has done."""
    done, total = loop.iter, loop.max_iters
    if isinstance(loop, EpochBasedTrainLoop):
        if loop.iter != loop.epoch * len(loop.dataloader):
            return False  # the rest of the epoch comes first
        done, total = loop.epoch, loop.max_epochs
    loop._decide_current_val_interval()
    return 0 < done >= loop.val_begin and (done % loop.val_interval == 0 or done == total)


def _is_listed(path: Path, epoch: int, iterations: int) -> bool:
    """Tell whether ``metrics.json`` has a validation; a damaged file has none."""
    try:
        entries = json.loads(path.read_text())
        return any(
            entry['stage'] == 'val' and entry['epoch'] == epoch and entry['iter'] == iterations
            for entry in entries
        )
    except (OSError, ValueError, TypeError, LookupError):
        return False
