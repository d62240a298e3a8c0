"""What runs in the process of a :class:`ReaderProcess`: it opens videos and sends their frames."""

import ctypes
import os
import re
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from .backends import open_reader
from .errors import VideoReadError, VideoUnavailableError, describe

PR_SET_PDEATHSIG = 1  # of Linux' prctl
KEEP_MEMORY = 128 * 2**20  # bytes of shared memory to keep between videos


def limit_memory(size: int) -> None:
    """Limit the private memory of this process to its current size plus ``size`` bytes."""
    data = re.search(r'VmData:\s*(\d+) kB', Path('/proc/self/status').read_text())
    if data is not None:  # missing on Linux-compatible systems
        most = 1024 * int(data[1]) + size
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


def serve(connection: Connection, memory: int, parent: int) -> None:
    """Answer requests until the parent ends or closes the connection."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A scheduler's signal to all processes must not look like a decoder crash.
    for number, action in (
        (signal.SIGINT, signal.SIG_IGN),
        (signal.SIGTERM, signal.SIG_IGN),
        (signal.SIGUSR1, signal.SIG_IGN),
        (signal.SIGCHLD, signal.SIG_DFL),
    ):
        signal.signal(number, action)
    reader: Any = None  # a VideoReader, once one has been asked for
    answer: tuple | Exception
    while os.getppid() == parent:
        kind, *request = connection.recv()
        try:
            if kind == 'open':
                if reader is not None:
                    reader.close()
                reader = open_reader(*request)
                found = reader.num_frames, reader.fps, reader.times, reader.reported_frames
                answer = (*found, reader.frame_bytes)
            else:
                frames = (reader.read if kind == 'read' else reader.read_undamaged)(*request)
                answer = reader.num_frames, _write(frames, memory)
        except (VideoReadError, ImportError) as error:  # a missing library is no fault of the video
            answer = error
        except MemoryError as error:  # while writing the frames
            answer = VideoReadError(describe(error))
        except OSError as error:  # no space for the frames; open_reader and read convert their own errors
            answer = VideoUnavailableError(f'its frames cannot be passed on: {describe(error)}')
        except Exception as error:  # a bug of a reader, so the video must not be replaced
            answer = RuntimeError(f'the reader failed: {describe(error)}')
        connection.send(answer)


def _write(frames: list[np.ndarray], memory: int) -> list[tuple]:
    """Write frames to shared memory and return their shapes and offsets; repeated frames are written once."""
    if os.fstat(memory).st_size > KEEP_MEMORY:
        os.ftruncate(memory, 0)
    places: dict[int, tuple] = {}
    end = 0
    for frame in frames:
        if id(frame) not in places:
            places[id(frame)] = (frame.shape, end)
            end += os.pwrite(memory, np.ascontiguousarray(frame).data, end)
    return [places[id(frame)] for frame in frames]
