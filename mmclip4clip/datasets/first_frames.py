"""Decode the first frame of many video files, to find those that cannot be read."""

import gc
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import av

from .video_readers import NoVideoError
from .video_readers.errors import describe
from .video_readers.video_streams import PICTURE_CODECS, open_video


class FirstFrameResult(NamedTuple):
    """Result of decoding the first frame of a file.

    Attributes:
        error (str, optional): Why the first frame cannot be decoded.
        seconds (float, optional): Duration according to the container.

    Examples:
        >>> FirstFrameResult(error=None, seconds=12.5).seconds
        12.5
    """

    error: str | None
    seconds: float | None = None


def decode_first_frame(filename: str) -> float | None:
    """Decode the first decodable frame of a video, reading no more of the file than necessary.

    Returns:
        float | None: Duration in seconds according to the container.

    Raises:
        NoVideoError: If the file contains no video, may be a picture, or has no decodable frame.
        Exception: Any error of PyAV.
    """
    container, stream = open_video(filename)
    with container:
        if stream.codec_context.name in PICTURE_CODECS:
            raise NoVideoError('it may be a picture')
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # a later packet may decode
                continue
            if frames:
                return seconds_of(container, stream)
    raise NoVideoError('none of its frames can be decoded')


def seconds_of(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """Return the duration of a video stream in seconds, or of its file, whose sound may be longer."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def probe_videos(
    filenames: Iterable[str], processes: int = 4, time_limit: float = 10.0, total_time: float = 300.0
) -> dict[str, FirstFrameResult]:
    """Decode the first frames of files in separate processes, because damaged files may hang or crash them.

    Args:
        filenames (Iterable[str]): The files.
        processes (int): Number of files to open at once.
        time_limit (float): Seconds per file.
        total_time (float): Seconds for all files. The result lacks the files that are not reached by then.

    Returns:
        dict[str, FirstFrameResult]: The results by file.
    """
    left, end = deque(filenames), time.monotonic() + total_time
    found: dict[str, FirstFrameResult] = {}
    openers = [_Opener(time_limit) for _ in range(min(processes, len(left)))]
    try:
        while True:
            for opener in openers:
                if opener.filename is None and left and time.monotonic() < end:
                    opener.submit(left.popleft())
            busy = [opener for opener in openers if opener.filename is not None]
            if not busy:
                return found
            seconds = min(opener.deadline for opener in busy) - time.monotonic()
            wait([opener.connection for opener in busy], max(0, seconds))
            for opener in busy:
                filename, opening = opener.filename, opener.poll_result()
                if opening is not None and filename is not None:
                    found[filename] = opening
    finally:
        for opener in openers:
            opener.close()


class _Opener:
    """A process that opens files one at a time, and is killed and replaced if a file takes too long."""

    def __init__(self, time_limit: float) -> None:
        self.time_limit, self.deadline = time_limit, 0.0
        self.filename: str | None = None
        self._process: BaseProcess | None = None

    def _start(self) -> None:
        context = multiprocessing.get_context('fork')
        self.connection, worker_end = context.Pipe()
        self._process = process = context.Process(target=_serve, args=(worker_end,), daemon=True)
        process.start()
        worker_end.close()

    def submit(self, filename: str) -> None:
        """Send a file to the process."""
        if self._process is None:
            self._start()
        self.filename, self.deadline = filename, time.monotonic() + self.time_limit
        self.connection.send(filename)

    def _exit_code(self) -> int | None:
        if self._process is None:
            return None
        self._process.join(1)
        return self._process.exitcode

    def poll_result(self) -> FirstFrameResult | None:
        """Return what came of the file, or None if it is not done yet."""
        late = time.monotonic() >= self.deadline
        try:
            if self.connection.poll():
                opening = self.connection.recv()
            elif not late:
                return None
            else:
                opening = FirstFrameResult(f'its first frame did not come within {self.time_limit:g} s')
                self.close()
        except (EOFError, ConnectionError):
            opening = FirstFrameResult(f'the decoder crashed (exit code {self._exit_code()})')
            self.close()
        self.filename = None
        return opening

    def close(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None:
            self.connection.close()
            self._process.kill()
            self._process.join(1)  # a hanging file system can block it for longer
            self._process = None


def _serve(connection: Connection) -> None:
    """Open the requested files until the other side closes the connection."""
    gc.freeze()  # garbage of the parent, such as decord's readers, may wait for threads that a fork lacks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        try:
            filename = connection.recv()
        except (EOFError, ConnectionError):
            return
        try:
            opening = FirstFrameResult(None, decode_first_frame(filename))
        except Exception as error:  # decoders raise any exception; the cause is reported
            opening = FirstFrameResult(describe(error))
        connection.send(opening)
