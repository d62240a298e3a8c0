"""Load batches with a time limit for the dataloader's workers."""

import time
from collections.abc import Iterator

from torch.utils.data import DataLoader

from ...datasets.dataset_traversal import find_decoder, leaf_datasets

MIN_TIMEOUT = 600.0  # seconds; a file system may be unavailable for some minutes
DEFAULT_VIDEO_SECONDS = 60.0  # seconds, for pipelines without a time limit


def load_batches(runner, dataloader: DataLoader, name: str) -> Iterator[dict]:
    """Yield the batches of an epoch, and raise an error if the workers stop responding.

    torch waits forever unless a dataloader has a ``timeout``. This function sets one if the config has none,
    see :func:`worker_timeout`.

    Args:
        runner (Runner): The runner, whose config may set ``timeout`` in seconds; 0 is no limit.
        dataloader (DataLoader): The dataloader.
        name (str): Its key in the config.

    Raises:
        RuntimeError: If no batch arrives in this time, or a worker has ended.
    """
    cfg = getattr(runner, 'cfg', {}).get(name)
    configured = isinstance(cfg, dict) and cfg.get('timeout') is not None
    if getattr(dataloader, 'num_workers', 0) and not dataloader.timeout and not configured:
        dataloader.timeout = worker_timeout(dataloader)
    batches = iter(dataloader)
    while True:
        try:
            batch = _next_batch(batches, dataloader)
        except StopIteration:
            return
        except RuntimeError as error:
            explanation = _explain_failure(str(error), dataloader, batches, name)
            if explanation is None:
                raise
            raise RuntimeError(explanation) from error
        yield batch


def worker_timeout(dataloader: DataLoader) -> float:
    """Return the maximum time in seconds in which a worker reads a batch.

    Each video takes at most twice its time limit plus ``storage_wait``, and half a time limit if its windows
    are decoded together in vain.
    """
    size = getattr(dataloader.batch_sampler, 'batch_size', None) or dataloader.batch_size or 1
    seconds = [DEFAULT_VIDEO_SECONDS]
    for leaf in leaf_datasets(dataloader.dataset):
        limit = getattr(find_decoder(leaf), 'time_limit', None) or DEFAULT_VIDEO_SECONDS
        seconds.append(2.5 * limit + getattr(leaf, 'storage_wait', 0))
    return max(MIN_TIMEOUT, size * max(seconds))


def _next_batch(batches: Iterator, dataloader: DataLoader) -> dict:
    """Wait for a batch, and wait again if this process was stopped in the meantime."""
    while True:
        begin = time.monotonic()
        try:
            return next(batches)
        except RuntimeError as error:
            late = time.monotonic() - begin - dataloader.timeout
            if not _timed_out(str(error)) or late < 5 + dataloader.timeout / 10:
                raise


def _timed_out(message: str) -> bool:
    return message.startswith('DataLoader timed out')


def _explain_failure(message: str, dataloader: DataLoader, batches: Iterator, name: str) -> str | None:
    """Explain an error of a dataloader; None for other errors."""
    pids = ' '.join(str(worker.pid) for worker in getattr(batches, '_workers', []))
    if _timed_out(message):
        return (
            f'{name}: its {dataloader.num_workers} workers (processes {pids}) have returned no batch for '
            f'{dataloader.timeout:g} s: a file system or a transform may hang. /proc/PID/stack or py-spy '
            f'dump --pid PID shows where. Set {name}.timeout=SECONDS in the config; 0 disables the limit'
        )
    if message.startswith('DataLoader worker') and 'pid' in message:
        return (
            f'{name}: {message.strip().rstrip(".")}. The usual reason is that the system ran out of memory '
            f'and killed a worker, see dmesg; try fewer {name}.num_workers or a smaller batch_size'
        )
    return None
