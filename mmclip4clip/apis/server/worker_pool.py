"""Threads with a bound on the work that waits for them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from .errors import RequestError

T = TypeVar('T')


class WorkerPool:
    """Runs blocking work in threads of its own, and refuses more than it can do soon.

    Args:
        name (str): What the threads do, for messages.
        threads (int): Number of threads. One of them keeps what belongs to one thread, such as an index.
        waiting (int): Calls that may wait for a thread.

    Examples:
        >>> pool = WorkerPool('sums', threads=1, waiting=8)
        >>> pool.call(sum, [1, 2])
        3
        >>> pool.close()
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f'mmclip4clip-{name}')
        self._free = threading.BoundedSemaphore(threads + waiting)

    def submit(self, function: Callable[..., T], *args: Any) -> 'Future[T]':
        """Queue a call.

        Raises:
            RequestError: With status 503 if too many calls wait.
        """
        if not self._free.acquire(blocking=False):
            raise RequestError(503, f'too many {self.name} at once: try again', retry_after=1)
        try:
            future = self._executor.submit(function, *args)
        except RuntimeError as error:  # it is closed
            self._free.release()
            raise RequestError(503, 'the server is shutting down', retry_after=5) from error
        future.add_done_callback(lambda _: self._free.release())
        return future

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in a thread, and wait without blocking others. See :meth:`submit`."""
        return await asyncio.wrap_future(self.submit(function, *args))

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in a thread, and block until it returns. See :meth:`submit`."""
        return self.submit(function, *args).result()

    def close(self) -> None:
        """Finish what has begun, and drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)
