"""Time limits of a process that works too long or hangs, but not of one that waits for the CPU."""

import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from .errors import ReaderStalledError, VideoReadError

WALL_CLOCK_LIMIT = (
    10,
    600.0,
)  # times the limit by the clock, and at least these seconds, if it hardly gets to work
RUNNABLE_STATES = 'RTt'  # states in /proc: running, runnable, stopped


class TimeLimit:
    """Time limits of a process that reads one video.

    A loaded machine increases wall-clock times, so work is measured as CPU time of the process. A hanging
    process does no work. It is given up when it has been idle without interruption for too long.

    Args:
        pid (int): The process.
        cpu_seconds (float): Maximum CPU time in seconds.
        idle_seconds (float): Maximum uninterrupted idle time in wall-clock seconds.

    Examples:
        >>> import os
        >>> from multiprocessing import Pipe
        >>> here, there = Pipe()
        >>> there.send('frames')
        >>> TimeLimit(os.getpid(), cpu_seconds=60, idle_seconds=60).wait(here)  # returns when there is data
        >>> here.recv()
        'frames'
    """

    def __init__(self, pid: int, cpu_seconds: float, idle_seconds: float) -> None:
        self._pid, self._clock = pid, (~pid << 3) | 2  # ID of the CPU clock of another process on Linux
        self._cpu_seconds, self._idle_seconds = cpu_seconds, idle_seconds
        self._begin = self._seen = time.clock_gettime(self._clock)
        self.idle = self._passed = 0.0

    def wait(self, connection: Connection) -> None:
        """Wait until the process answers or ends.

        Raises:
            VideoReadError: If it has worked for too long.
            ReaderStalledError: If it has been idle for too long, or did not get to work for very long.
        """
        longest = min(0.5, max(0.01, self._idle_seconds / 4))
        pause = min(0.02, longest)
        while True:
            begin = time.monotonic()
            if connection.poll(pause):
                return
            # The time during which the machine was suspended does not count.
            self._look(min(time.monotonic() - begin, 2 * pause))
            pause = min(2 * pause, longest)

    def _look(self, passed: float) -> None:
        """Count the elapsed seconds as work, idle time or waiting, and check the limits."""
        self._passed += passed
        worked, is_idle = self._state()
        self.idle = self.idle + passed if is_idle else 0.0
        if worked > self._cpu_seconds:
            raise VideoReadError(f'it took more than {self._cpu_seconds:.3g} s and was given up')
        if self.idle > self._idle_seconds:
            raise ReaderStalledError(f'it took more than {self._idle_seconds:.3g} s and was given up')
        longest = max(WALL_CLOCK_LIMIT[0] * self._cpu_seconds, WALL_CLOCK_LIMIT[1])
        if self._passed > longest:
            raise ReaderStalledError(f'it took more than {longest:.3g} s and was given up')

    def _state(self) -> tuple[float, bool]:
        """Return the CPU seconds so far, and whether all threads are idle since the last check."""
        try:
            now = time.clock_gettime(self._clock)
        except OSError:  # it has just ended, which the connection reports
            return 0.0, False
        before, self._seen = self._seen, now
        return now - self._begin, now == before and not any(
            state in RUNNABLE_STATES for state in thread_states(self._pid)
        )


def thread_states(pid: int) -> str:
    """Return the states of all threads of a process, one letter each, see proc(5)."""
    states = ''
    for path in Path(f'/proc/{pid}/task').glob('*/stat'):
        with suppress(OSError):  # a thread that has just ended
            states += path.read_text().rpartition(')')[2].split()[0]
    return states
