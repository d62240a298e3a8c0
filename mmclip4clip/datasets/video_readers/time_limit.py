"""Give up a process that works too long or does nothing, and not one that waits for its turn."""

import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from .errors import ReaderStalledError, VideoReadError

WALL_CLOCK_LIMIT = (
    10,
    600.0,
)  # times the limit by the clock, and at least these seconds, if it hardly gets to work
RUNNABLE_STATES = 'RTt'  # of the states in /proc: running or ready to run, stopped


class TimeLimit:
    """What one video may take of a process that reads it.

    A loaded machine makes everything slow by the clock, so work is measured as
    the CPU time of the process. A process that hangs does not work; it is given up
    when it has been idle for long enough without any work in between.

    Args:
        pid (int): The process.
        cpu_seconds (float): Seconds of CPU time.
        idle_seconds (float): Seconds by the clock of doing nothing at a stretch.
    """

    def __init__(self, pid: int, cpu_seconds: float, idle_seconds: float) -> None:
        self._pid, self._clock = pid, (~pid << 3) | 2  # Linux' CPU clock of another process
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
            # A machine that was suspended did not wait for the process: no more than was asked for counts.
            self._look(min(time.monotonic() - begin, 2 * pause))
            pause = min(2 * pause, longest)

    def _look(self, passed: float) -> None:
        """Count the seconds that have passed as work, sleep or waiting."""
        self._passed += passed
        worked, asleep = self._state()
        self.idle = self.idle + passed if asleep else 0.0
        if worked > self._cpu_seconds:
            raise VideoReadError(f'it took more than {self._cpu_seconds:.3g} s and was given up')
        if self.idle > self._idle_seconds:
            raise ReaderStalledError(f'it took more than {self._idle_seconds:.3g} s and was given up')
        longest = max(WALL_CLOCK_LIMIT[0] * self._cpu_seconds, WALL_CLOCK_LIMIT[1])
        if self._passed > longest:
            raise ReaderStalledError(f'it took more than {longest:.3g} s and was given up')

    def _state(self) -> tuple[float, bool]:
        """Return the CPU seconds so far, and whether no thread works, waits to work or has worked lately."""
        try:
            now = time.clock_gettime(self._clock)
        except OSError:  # it has just ended, and the connection will say so
            return 0.0, False
        before, self._seen = self._seen, now
        return now - self._begin, now == before and not any(
            state in RUNNABLE_STATES for state in thread_states(self._pid)
        )


def thread_states(pid: int) -> str:
    """Return the state of each thread of a process, a letter each, see proc(5)."""
    states = ''
    for path in Path(f'/proc/{pid}/task').glob('*/stat'):
        with suppress(OSError):  # a thread that has just ended
            states += path.read_text().rpartition(')')[2].split()[0]
    return states
