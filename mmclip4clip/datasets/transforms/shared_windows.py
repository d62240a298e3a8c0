"""Decode the frames of several windows of one video together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np

from ...random_states import preserve_random_states
from ..video_readers import VideoReader, VideoReadError
from .decoding import DecodeVideo

MAX_BYTES = 256 * 2**20  # of the frames that are decoded together and kept
Window = tuple[float | None, float | None]  # start and end in seconds


@contextmanager
def share_windows(decode: DecodeVideo | None, items: Sequence[dict]) -> Iterator[None]:
    """Let windows of one video share their frames while a batch is prepared.

    Args:
        decode (DecodeVideo, optional): The step that decodes; without one, nothing is shared.
        items (Sequence[dict]): The items of the batch before the pipeline, in their order. Items without a
            ``filename``, which a subclass may have, share nothing.

    Examples:
        >>> with share_windows(None, []):
        ...     pass
    """
    files = [item.get('filename') for item in items]
    if decode is None or None in files or len(set(files)) == len(files):
        yield
        return
    decode.shared_windows = SharedWindows(decode, items)
    try:
        yield
    finally:
        decode.shared_windows = None


class SharedWindows:
    """Opens the video of each item of a batch, and decodes the frames of several windows at once.

    The first window of a video decodes those of the next ones too, as many as memory allows. Each item then
    samples its own frames, as if it were alone. If a part of the video is damaged, or the samplers draw other
    frames the second time, each window is decoded by itself. So items and errors are always the same as
    without sharing. Only ``pyav`` shares frames, because the other backends do not report damage.

    Args:
        decode (DecodeVideo): Opens videos and samples.
        items (Sequence[dict]): The items of the batch in their order.
        max_bytes (int): Maximum size in bytes of the frames that are decoded together.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.datasets import SampleAtRate
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> decode = DecodeVideo(SampleAtRate(fps=1), time_limit=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((40, 48, 64, 3), np.uint8), fps=10)
        ...     items = [dict(filename=f'{folder}/v.mp4', start=start, end=3) for start in (0, 1)]
        ...     with share_windows(decode, items):
        ...         [decode(item)['frame_inds'].tolist() for item in items]
        [[0, 10, 20], [10, 20]]
    """

    def __init__(self, decode: DecodeVideo, items: Sequence[dict], max_bytes: int = MAX_BYTES) -> None:
        self.decode, self.max_bytes = decode, min(max_bytes, decode.max_bytes or max_bytes)
        self._items: dict[str, list[dict]] = {}
        for item in items:
            self._items.setdefault(item['filename'], []).append(item)
        self._open: SharedVideo | None = None
        self._alone: set[tuple[str, Window]] = set()  # windows that cannot be sampled

    def open(self, backend: str, item: dict) -> VideoReader:
        """Open the video of an item, whose frames may have been decoded already.

        Raises:
            VideoReadError: As :meth:`DecodeVideo.open`.
        """
        filename, window = item['filename'], _window(item)
        items = self._items.get(filename, [])
        windows = [_window(other) for other in items]
        if backend != 'pyav' or window not in windows or (filename, window) in self._alone:
            return self.decode.open(backend, filename)
        if self._open is None or (filename, window) not in self._open.windows:
            self._open = None  # free its frames first
            self._open = self._decode(filename, items[windows.index(window) :])
        if self._open is None:
            return self.decode.open(backend, filename)
        return SharedReader(self._open, partial(self._open_unshared, filename))

    def _open_unshared(self, filename: str) -> VideoReader:
        """Open a video whose samplers draw other frames each time."""
        self._items.pop(filename, None)
        self._open = None
        return self.decode.open('pyav', filename)

    def _decode(self, filename: str, items: list[dict]) -> 'SharedVideo | None':
        """Decode the frames of the next windows; None if each is to be decoded by itself."""
        with self.decode.open('pyav', filename) as reader:
            windows, wanted = self._choose(reader, items)
            if len(windows) < 2:
                return None
            indices = sorted(wanted)
            try:
                frames = reader.read_undamaged(indices)
            except VideoReadError:  # told about the windows that it affects
                frames = []
            if not frames:
                del self._items[filename]
                return None
            return SharedVideo(
                {(filename, window) for window in windows},
                dict(zip(indices, frames)),
                reader.num_frames,
                reader.fps,
                reader.times,
                reader.reported_frames,
            )

    def _choose(self, reader: VideoReader, items: list[dict]) -> tuple[list[Window], set[int]]:
        """Choose the windows whose frames fit into memory; return them and these frames."""
        windows: list[Window] = []
        wanted: set[int] = set()
        with preserve_random_states():  # each item draws again
            for item in items:
                try:
                    video = self.decode.describe_video(reader, item)
                    indices = np.minimum(self.decode.sample_frames(video)[1], reader.num_frames - 1)
                except (VideoReadError, RuntimeError):  # raised again where this item is prepared
                    self._alone.add((item['filename'], _window(item)))
                    continue
                together = wanted.union(indices.tolist())
                if not 0 < len(together) * reader.frame_bytes <= self.max_bytes:
                    break
                windows.append(_window(item))
                wanted = together
        return windows, wanted


class SharedVideo(NamedTuple):
    """Frames that some windows of a video need.

    Args:
        windows (set[tuple]): File, and start and end in seconds, of each window.
        frames (dict[int, np.ndarray]): Frames by index, (H, W, 3) each.
        num_frames, fps, times, reported_frames: As in :class:`VideoReader`.

    Examples:
        >>> SharedVideo({('v.mp4', (0, 1))}, {}, 25, 25.0, None, 25).num_frames
        25
    """

    windows: set[tuple[str, Window]]
    frames: dict[int, np.ndarray]
    num_frames: int
    fps: float
    times: np.ndarray | None
    reported_frames: int


class SharedReader(VideoReader):
    """Returns copies of shared frames, and opens the video if other frames are wanted.

    Args:
        video (SharedVideo): The frames.
        open_video (Callable): Opens the video.

    Examples:
        >>> video = SharedVideo(set(), {0: np.zeros((2, 2, 3), np.uint8)}, 1, 25.0, None, 1)
        >>> SharedReader(video, open).read([0])[0].shape
        (2, 2, 3)
    """

    def __init__(self, video: SharedVideo, open_video: Callable[[], VideoReader]) -> None:
        self._frames, self._open_video = video.frames, open_video
        self.num_frames, self.fps, self.times = video.num_frames, video.fps, video.times
        self.reported_frames = video.reported_frames

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Return some frames, see :meth:`VideoReader.read`."""
        wanted = [min(int(index), self.num_frames - 1) for index in indices]
        if self._frames.keys() >= set(wanted):
            return [self._frames[index].copy() for index in wanted]  # later transforms may work in place
        with self._open_video() as reader:
            frames = reader.read(indices)
            self.num_frames = reader.num_frames
        return frames


def _window(item: dict) -> Window:
    return item.get('start'), item.get('end')
