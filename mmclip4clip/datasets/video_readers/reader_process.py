"""Read videos in a process that can be killed."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from .errors import VideoReadError, VideoUnavailableError, describe
from .forking import fork_without_garbage
from .reader import VideoReader
from .reader_server import limit_memory, serve
from .time_limit import TimeLimit

RENEW_AFTER = 1000  # videos; a new process frees memory that decoders leak
MAX_BYTES = 2 * 2**30  # of the frames of one video
DECODER_MEMORY = 2**30  # bytes for a decoder, in addition to the frames

# A garbage-collected connection closes its descriptor. If its ReaderProcess is collected later, a second
# close would hit another file with the same descriptor. This dict keeps the connections alive.
_CONNECTIONS: dict[int, Connection] = {}


class ReaderProcess:
    """A separate process that reads videos, and is killed if a video takes too long.

    A decoder that hangs or crashes its process cannot be stopped from within. The reader process is reused
    for many videos and renewed from time to time. It is created with ``os.fork``, because dataloader workers
    are daemonic and may not start processes through ``multiprocessing``. Its private memory is limited to its
    initial size, plus twice the frames and ``DECODER_MEMORY``. The limit is ``RLIMIT_DATA``, because
    libraries and mapped files also use address space (``RLIMIT_AS``).

    Args:
        max_bytes (int): Maximum size in bytes of the frames of one read.

    Raises:
        RuntimeError: On systems other than Linux.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmclip4clip.datasets.video_readers import ReaderProcess
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> process = ReaderProcess()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8))
        ...     frames = process.open('pyav', f'{folder}/v.mp4', seconds=60).read([0, 7])
        >>> frames[1].shape
        (48, 64, 3)
        >>> process.close()
        'signal 9, SIGKILL'
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        if not sys.platform.startswith('linux'):
            raise RuntimeError(f'a time limit needs Linux, this is {sys.platform}: set time_limit=None')
        self.max_bytes = max_bytes
        self._limit: TimeLimit | None = None
        self._pid: int | None = None
        self._parent_pid = self._opened = 0

    def open(
        self, backend: str, filename: str, seconds: float, idle_seconds: float | None = None
    ) -> 'RemoteReader':
        """Open a video in the reader process.

        Args:
            backend (str): Backend of :func:`open_reader`.
            filename (str): The video.
            seconds (float): CPU seconds for opening and reading the video.
            idle_seconds (float, optional): Wall-clock seconds that the process may be idle without
                interruption. The default is ``seconds``.

        Raises:
            VideoUnavailableError: If the storage does not return the file, no process can be started, or the
                process is idle for too long or killed by the system.
            VideoReadError: If opening fails, exceeds the CPU time, or crashes the process.
        """
        pid = self._live_pid()
        if pid is None or self._opened >= RENEW_AFTER:
            pid = self._start()
        self._opened += 1
        self._seconds = (seconds, seconds if idle_seconds is None else idle_seconds)
        self._limit = TimeLimit(pid, *self._seconds)
        return RemoteReader(self, *self.ask('open', backend, filename, self.max_bytes))

    def restart_limit(self) -> None:
        """Start the time limits of the open video anew."""
        if self._pid is not None:
            self._limit = TimeLimit(self._pid, *self._seconds)

    def ask(self, *request: Any) -> Any:
        """Send a request and wait for its answer, within the time limits of the video."""
        if self._limit is None:
            raise RuntimeError('no video has been opened')
        try:
            self._connection.send(request)
            self._limit.wait(self._connection)
            answer = self._connection.recv()
        except VideoReadError:
            self.close()
            raise
        except (EOFError, ConnectionError):
            ending = self.close()
            if 'SIGKILL' in ending:  # by the system, out of memory; no decoder kills itself
                raise VideoUnavailableError(f'the decoder was killed ({ending})') from None
            raise VideoReadError(f'the decoder crashed ({ending})') from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def fetch(self, shape: Sequence[int], offset: int) -> np.ndarray:
        """Copy a frame out of the memory shared with the reader process."""
        frame = np.empty(shape, np.uint8)
        os.preadv(self._memory, [frame.reshape(-1).data], offset)
        return frame

    def _live_pid(self) -> int | None:
        """Return the id of the live reader process; None if there is none."""
        if self._parent_pid != os.getpid():  # after a fork, the reader process belongs to the parent
            self._pid = None
        if self._pid is not None and _wait(self._pid) is not None:
            self._release()
        return self._pid

    def _start(self) -> int:
        self.close()
        with ExitStack() as undo:
            try:
                self._connection, worker_end = Pipe()
                undo.callback(self._connection.close)
                undo.callback(worker_end.close)
                self._memory = os.memfd_create('frames')
                undo.callback(os.close, self._memory)
                parent, pid = os.getpid(), fork_without_garbage()
            except OSError as error:  # too many files or processes, or no memory, as often in passing
                raise VideoUnavailableError(f'no process can be started: {describe(error)}') from error
            undo.pop_all()
            _CONNECTIONS[self._connection.fileno()] = self._connection
        if pid == 0:
            try:
                self._connection.close()
                limit_memory(2 * self.max_bytes + DECODER_MEMORY)
                serve(worker_end, self._memory, parent)
            except (EOFError, ConnectionError):
                pass  # the parent has ended
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)  # skip the flushing and cleanup of files opened by the parent
        self._pid, self._parent_pid, self._opened = pid, parent, 0
        worker_end.close()
        return pid

    def close(self) -> str:
        """Kill the reader process, if there is one, and describe how it ended."""
        pid = self._pid
        if pid is None or self._parent_pid != os.getpid():
            return ''
        self._release()
        os.kill(pid, signal.SIGKILL)  # no effect if it has already ended
        status = _wait(pid, seconds=1)  # a hanging file system can block it for longer
        if status is None or status >= 0:
            return f'exit code {status}'
        return f'signal {-status}, {signal.Signals(-status).name}'

    def _release(self) -> None:
        self._pid = None
        _CONNECTIONS.pop(self._connection.fileno(), None)
        self._connection.close()
        os.close(self._memory)

    def __getstate__(self) -> dict:
        return dict(max_bytes=self.max_bytes, _limit=None, _pid=None, _parent_pid=0, _opened=0)

    def __del__(self) -> None:
        if self.__dict__.get('_pid') is not None:
            self.close()


def _wait(pid: int, seconds: float = 0) -> int | None:
    """Return the exit code of a process, or minus the signal that ended it; None if it is running."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # other code has already waited for it
            return 0
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


class RemoteReader(VideoReader):
    """The video that is currently open in a :class:`ReaderProcess`."""

    def __init__(
        self,
        process: ReaderProcess,
        num_frames: int,
        fps: float,
        times: np.ndarray | None,
        reported_frames: int,
        frame_bytes: int = 0,
    ) -> None:
        self._process, self.num_frames, self.reported_frames = process, num_frames, reported_frames
        self.fps, self.times, self.frame_bytes = fps, times, frame_bytes

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Decode some frames, as :meth:`VideoReader.read` does."""
        return self._ask('read', indices)

    def read_undamaged(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Decode some frames, as :meth:`VideoReader.read_undamaged` does."""
        return self._ask('read undamaged', indices)

    def _ask(self, request: str, indices: Sequence[int]) -> list[np.ndarray]:
        self.num_frames, places = self._process.ask(request, [int(i) for i in indices])
        frames = {offset: self._process.fetch(shape, offset) for shape, offset in set(places)}
        return [frames[offset] for _, offset in places]

    def restart_time_limit(self) -> None:
        """Start the time limits of the process anew."""
        self._process.restart_limit()
