"""Processes that decode videos ahead, without torch's dataloader."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty
from typing import Any, TypeVar

T = TypeVar('T')
AHEAD = 2  # results per process that wait to be taken
SECONDS = 1.0  # after which to look whether the processes are alive


def run_in_processes(
    work: Callable[[Sequence[Any]], Iterable[T]], items: Sequence[Any], num_workers: int
) -> Iterator[T]:
    """Yield what a function yields for items, which processes share.

    Args:
        work (Callable): Yields results for some items; runs in forked processes, so it may be any function.
        items (Sequence): Each process gets every n-th one.
        num_workers (int): Number of processes; 0 runs in this one, in order.

    Raises:
        RuntimeError: If a process fails or is killed.

    Examples:
        >>> sorted(run_in_processes(lambda numbers: [number**2 for number in numbers], [1, 2, 3], 2))
        [1, 4, 9]
    """
    count = min(num_workers, len(items))
    if count < 1:
        yield from work(items)
        return
    context = multiprocessing.get_context('fork')
    queue = context.Queue(AHEAD * count)
    processes = [
        context.Process(target=_work, args=(work, items[i::count], queue, i), daemon=True)
        for i in range(count)
    ]
    for process in processes:
        process.start()
    running = set(range(count))
    try:
        while running:
            try:
                number, result, fault = queue.get(timeout=SECONDS)
            except Empty:
                dead = [i for i in running if processes[i].exitcode]
                if dead:
                    code = processes[dead[0]].exitcode
                    raise RuntimeError(f'a process that decodes videos ended with exit code {code}') from None
                continue
            if fault is not None:
                raise RuntimeError(f'a process that decodes videos failed: {fault}')
            if result is None:
                running.discard(number)
            else:
                yield result[0]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        queue.close()
        queue.cancel_join_thread()


def _work(work: Callable, items: Sequence[Any], queue: Any, number: int) -> None:
    try:
        for result in work(items):
            queue.put((number, (result,), None))
        queue.put((number, None, None))
    except Exception as error:  # reported by the parent
        queue.put((number, None, repr(error)))
