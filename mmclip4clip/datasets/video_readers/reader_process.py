"""Read videos in a process that can be killed."""

import ctypes
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from .backends import open_reader
from .errors import VideoReadError, VideoUnavailableError, describe
from .reader import VideoReader
from .time_limit import TimeLimit

PR_SET_PDEATHSIG = 1  # of Linux' prctl
RENEW_AFTER = 1000  # videos; what decoders leak goes with the process
MAX_BYTES = 2 * 2**30  # of the frames that are taken from one video
DECODER_MEMORY = 2**30  # bytes that a decoder may need beside the frames
KEEP_MEMORY = 128 * 2**20  # bytes that are shared with the child from one video to the next

# A connection that is garbage closes itself and does not remember that. Where it is collected before the
# ReaderProcess that has it, a second close would hit whatever has got its number since. These stay alive.
_CONNECTIONS: dict[int, Connection] = {}


class ReaderProcess:
    """A child process that reads videos, and is killed when it takes too long.

    A decoder that hangs, or that takes its whole process down, cannot be stopped
    from within. The child lives on from video to video, and is renewed now and
    then. It is forked plainly, because the workers of a data loader may not have
    children of ``multiprocessing``. Its private memory is limited to the frames,
    twice, and ``DECODER_MEMORY``, beside what it has at its start: ``RLIMIT_DATA``,
    as address space (``RLIMIT_AS``) is also taken by libraries and maps of files.

    Args:
        max_bytes (int): The most that the frames of one reading may take.

    Raises:
        RuntimeError: On other systems than Linux.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        if not sys.platform.startswith('linux'):
            raise RuntimeError(f'a time limit needs Linux, this is {sys.platform}: set time_limit=None')
        self.max_bytes, self._limit = max_bytes, None
        self._pid: int | None = None
        self._parent_pid = self._opened = 0

    def open(
        self, backend: str, filename: str, seconds: float, idle_seconds: float | None = None
    ) -> 'RemoteReader':
        """Open a video in the child.

        Args:
            backend (str): As for :func:`open_reader`.
            filename (str): The video.
            seconds (float): CPU time for opening it and reading from it.
            idle_seconds (float, optional): Seconds by the clock that the child may do nothing at a
                stretch; as many as ``seconds`` if not given.

        Raises:
            VideoUnavailableError: If the storage does not give the file, no child can be
                started, or the child does nothing for too long or is killed by the system.
            VideoReadError: If opening fails, takes too much work, or takes the child down.
        """
        if self._opened >= RENEW_AFTER or not self._is_alive():
            self._start()
        self._opened += 1
        self._limit = TimeLimit(self._pid, seconds, seconds if idle_seconds is None else idle_seconds)
        return RemoteReader(self, *self.ask('open', backend, filename, self.max_bytes))

    def ask(self, *request: Any) -> Any:
        """Send a request and wait for its answer, no longer than the video may take."""
        try:
            self._connection.send(request)
            self._limit.wait(self._connection)
            answer = self._connection.recv()
        except VideoReadError:
            self.close()
            raise
        except (EOFError, ConnectionError):
            ending = self.close()
            if 'SIGKILL' in ending:  # by the system, for want of memory: no decoder does this to itself
                raise VideoUnavailableError(f'the decoder was killed ({ending})') from None
            raise VideoReadError(f'the decoder crashed ({ending})') from None
        if isinstance(answer, VideoReadError):
            raise answer
        return answer

    def fetch(self, shape: Sequence[int], offset: int) -> np.ndarray:
        """Copy a frame out of the memory that is shared with the child."""
        frame = np.empty(shape, np.uint8)
        os.preadv(self._memory, [frame.reshape(-1)], offset)
        return frame

    def _is_alive(self) -> bool:
        if self._parent_pid != os.getpid():  # this process was forked since: the child is its parent's
            self._pid = None
        if self._pid is not None and _wait(self._pid) is not None:
            self._release()
        return self._pid is not None

    def _start(self) -> None:
        self.close()
        with ExitStack() as undo:
            try:
                self._connection, worker_end = Pipe()
                undo.callback(self._connection.close)
                undo.callback(worker_end.close)
                self._memory = os.memfd_create('frames')
                undo.callback(os.close, self._memory)
                parent, pid = os.getpid(), os.fork()
            except OSError as error:  # too many files or processes, or no memory, as often in passing
                raise VideoUnavailableError(f'no process can be started: {describe(error)}') from error
            undo.pop_all()
            _CONNECTIONS[self._connection.fileno()] = self._connection
        if pid == 0:
            try:
                self._connection.close()
                limit_memory(2 * self.max_bytes + DECODER_MEMORY)
                _serve(worker_end, self._memory, parent)
            except (EOFError, ConnectionError):
                pass  # the parent is gone
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)  # what the parent opened is not to be flushed or cleaned up here
        self._pid, self._parent_pid, self._opened = pid, parent, 0
        worker_end.close()

    def close(self) -> str:
        """Kill the child, if there is one, and say how it ended."""
        if self._pid is None or self._parent_pid != os.getpid():
            return ''
        pid = self._release()
        os.kill(pid, signal.SIGKILL)  # changes nothing if it is ending by itself
        status = _wait(pid, seconds=1)  # a file system that hangs can hold it longer: not waited for
        if status is None or status >= 0:
            return f'exit code {status}'
        return f'signal {-status}, {signal.Signals(-status).name}'

    def _release(self) -> int:
        pid, self._pid = self._pid, None
        _CONNECTIONS.pop(self._connection.fileno(), None)
        self._connection.close()
        os.close(self._memory)
        return pid

    def __getstate__(self) -> dict:
        return dict(max_bytes=self.max_bytes, _limit=None, _pid=None, _parent_pid=0, _opened=0)

    def __del__(self) -> None:
        if self.__dict__.get('_pid') is not None:
            self.close()


def _wait(pid: int, seconds: float = 0) -> int | None:
    """Return the exit code of a child, or minus the signal that ended it; None if it goes on."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has waited for it
            return 0
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


class RemoteReader(VideoReader):
    """A video that is open in the child of a :class:`ReaderProcess`, the last one only."""

    def __init__(
        self,
        process: ReaderProcess,
        num_frames: int,
        fps: float,
        times: np.ndarray | None,
        reported_frames: int,
    ) -> None:
        self._process, self.num_frames, self.reported_frames = process, num_frames, reported_frames
        self.fps, self.times = fps, times

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Decode some frames, as :meth:`VideoReader.read` does."""
        self.num_frames, places = self._process.ask('read', [int(i) for i in indices])
        frames = {offset: self._process.fetch(shape, offset) for shape, offset in set(places)}
        return [frames[offset] for _, offset in places]


def limit_memory(size: int) -> None:
    """Let this process take no more private memory than some bytes beyond what it has."""
    data = re.search(r'VmData:\s*(\d+) kB', Path('/proc/self/status').read_text())
    if data is not None:  # systems that only resemble Linux do not say
        most = 1024 * int(data[1]) + size
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


def _serve(connection: Connection, memory: int, parent: int) -> None:
    """Answer requests in the child, until the parent ends or hangs up."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A scheduler's signal to all processes must not look like a video that takes the decoder down.
    for number, action in (
        (signal.SIGINT, signal.SIG_IGN),
        (signal.SIGTERM, signal.SIG_IGN),
        (signal.SIGUSR1, signal.SIG_IGN),
        (signal.SIGCHLD, signal.SIG_DFL),
    ):
        signal.signal(number, action)
    reader = None
    while os.getppid() == parent:
        kind, *request = connection.recv()
        try:
            if kind == 'open':
                if reader is not None:
                    reader.close()
                reader = open_reader(*request)
                answer = reader.num_frames, reader.fps, reader.times, reader.reported_frames
            else:
                frames = reader.read(*request)
                answer = reader.num_frames, _write(frames, memory)
        except VideoReadError as error:
            answer = error
        except MemoryError as error:  # of writing the frames
            answer = VideoReadError(describe(error))
        connection.send(answer)


def _write(frames: list[np.ndarray], memory: int) -> list[tuple]:
    """Write frames to shared memory and return their shapes and places; a frame that comes twice, once."""
    if os.fstat(memory).st_size > KEEP_MEMORY:
        os.ftruncate(memory, 0)
    places, end = {}, 0
    for frame in frames:
        if id(frame) not in places:
            places[id(frame)] = (frame.shape, end)
            end += os.pwrite(memory, np.ascontiguousarray(frame), end)
    return [places[id(frame)] for frame in frames]
