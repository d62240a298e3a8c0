"""Open a video with the index of its packets, which is kept for a few files."""

import copy
import os
import stat
from collections import OrderedDict

import av

from .packet_index import PacketIndex
from .sample_table import read_sample_table
from .video_streams import open_video

MAX_FILES = 4  # in each process
MAX_FRAMES = 10**6  # of one file; an index takes about 50 bytes per frame, and 150 more per key frame

_INDICES: OrderedDict[tuple, PacketIndex] = OrderedDict()


def open_indexed(filename: str) -> tuple[av.container.InputContainer, av.VideoStream, PacketIndex]:
    """Open a video and list its frames.

    In MP4 files with usable tables, the tables are read, otherwise all packets. The index is reused while the
    file does not change, so the next window of a video does not need the whole file again.

    Args:
        filename (str): The video.

    Returns:
        tuple[InputContainer, VideoStream, PacketIndex]: The open file, its stream, and the index. The index
        has the packets if they were read.

    Raises:
        NoVideoError: If the file contains no video.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8))
        ...     _, _, index = open_indexed(f'{folder}/v.mp4')
        >>> index.num_frames
        8
    """
    key = _file_state(filename)
    container, stream = open_video(filename)
    kept = _INDICES.pop(key, None)
    if kept is not None and _file_state(filename) == key:  # it may have been replaced before it was opened
        _INDICES[key] = kept  # as the last one
        return container, stream, copy.copy(kept)
    is_mov = bool(key) and container.format.name.startswith('mov')
    table = read_sample_table(filename, container, stream) if is_mov else None
    if table is None and is_mov:  # its first packet may have been read
        container.close()
        container, stream = open_video(filename)
    index = PacketIndex(container, stream, table)
    unchanged = bool(key) and _file_state(filename) == key  # otherwise it may have changed while it was read
    complete = index.reported_frames == index.num_frames  # seeks in a file that was cut off may fail
    if unchanged and complete and index.seek_times and len(index.stamps) <= MAX_FRAMES:
        _keep(key, index)
    return container, stream, index


def forget_index(filename: str) -> None:
    """Remove the index of a file."""
    _INDICES.pop(_file_state(filename), None)


def _file_state(filename: str) -> tuple:
    """Return what changes with a file; empty for pipes, which can be read once, and if it cannot be asked.

    The time of the last change of the inode tells a new content of the same size and modification time, as
    of ``cp --preserve``.
    """
    try:
        state = os.stat(filename)
    except OSError:  # opening the file reports it
        return ()
    if not stat.S_ISREG(state.st_mode):
        return ()
    times = state.st_mtime_ns, state.st_ctime_ns
    return os.path.abspath(filename), state.st_size, *times, state.st_ino, state.st_dev


def _keep(key: tuple, index: PacketIndex) -> None:
    kept = copy.copy(index)
    kept.packets = []  # they refer to the open file
    _INDICES[key] = kept
    while len(_INDICES) > MAX_FILES:
        _INDICES.popitem(last=False)
