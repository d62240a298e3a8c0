"""Interface of the backends that read video files."""

from collections.abc import Callable, Sequence

import numpy as np

from .errors import NoVideoError, VideoReadError  # noqa: F401  NoVideoError: its former module
from .storage_errors import diagnose_error


class VideoReader:
    """An open video file.

    A reader is created with a file name and may raise any exception, which :func:`open_reader` converts into
    a :class:`VideoReadError`.

    Attributes:
        num_frames (int): Number of frames according to the file. After :meth:`read`, it excludes frames that
            turned out to be undecodable.
        fps (float): Frames per second.
        times (np.ndarray, optional): Presentation time of each frame in seconds, the first at 0,
            (num_frames,); None if ``fps`` is accurate enough, see :func:`effective_fps`.
        reported_frames (int): Number of frames according to the container, at least ``num_frames``.
        frame_bytes (int): Size of a frame in bytes according to the container, 0 if unknown.
        filename (str): The file, to diagnose failing reads.
        max_bytes (int, optional): Maximum size in bytes of the frames of one :meth:`read`.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmclip4clip.datasets.video_readers import open_reader
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8))
        ...     with open_reader('pyav', f'{folder}/v.mp4') as reader:
        ...         frames = reader.read([0, 7])
        >>> reader.num_frames, frames[1].shape
        (8, (48, 64, 3))
    """

    num_frames: int
    fps: float
    times: np.ndarray | None = None
    reported_frames: int
    frame_bytes: int = 0
    filename: str | None = None
    max_bytes: int | None = None
    _bytes: int = 0  # of the frames that this read has kept so far

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Decode some frames.

        Args:
            indices (Sequence[int]): Frame indices from 0, in presentation order.

        Returns:
            list[np.ndarray]: RGB frames, (H, W, 3) uint8, one per index. If the video ends early, its last
            frame replaces the missing ones, and ``num_frames`` is updated.

        Raises:
            VideoReadError: If the decoder fails, no frame can be decoded, or they exceed ``max_bytes``.
        """
        frames = self._read(self._decode, indices)
        if not frames:
            raise VideoReadError(f'none of its {self.num_frames} frames can be decoded')
        return [frames[min(int(i), self.num_frames - 1)] for i in indices]

    def read_undamaged(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Decode some frames if nothing that they need is damaged.

        Damage may affect a frame in other ways if other frames are read with it. Without damage, a frame is
        always the same.

        Args:
            indices (Sequence[int]): Frame indices from 0, in presentation order.

        Returns:
            list[np.ndarray]: As :meth:`read`; empty if there is damage, or a backend cannot tell.

        Raises:
            VideoReadError: As :meth:`read`.
        """
        frames = self._read(self._decode_undamaged, indices)
        return [frames[min(int(i), self.num_frames - 1)] for i in indices] if frames else []

    def _read(self, decode: Callable[[list[int]], dict], indices: Sequence[int]) -> dict[int, np.ndarray]:
        self._bytes = 0
        try:
            return decode(sorted({min(int(i), self.num_frames - 1) for i in indices}))
        except Exception as error:  # decoders raise any exception
            raise diagnose_error(error, self.filename) from error

    def _count(self, height: int, width: int, frames: int = 1) -> None:
        """Count the bytes of new frames, and reject them if they exceed ``max_bytes``."""
        self._bytes += frames * height * width * 3
        check_bytes(self._bytes, (height, width), self.max_bytes)

    def _decode(self, indices: list[int]) -> dict[int, np.ndarray]:
        """Return the frames of increasing indices; at an early end, fix ``num_frames`` and add the last."""
        raise NotImplementedError

    def _decode_undamaged(self, indices: list[int]) -> dict[int, np.ndarray]:
        """Return the frames of increasing indices, or none; see :meth:`read_undamaged`."""
        return {}

    def restart_time_limit(self) -> None:
        """Start the time limit anew, before another part of a long video; does nothing without a limit."""

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, *error) -> None:
        self.close()


def check_bytes(size: int, shape: Sequence[int], max_bytes: int | None) -> None:
    """Check the size of frames against a limit.

    Args:
        size (int): Size of all frames in bytes.
        shape (Sequence[int]): Height and width of the last frame in pixels.
        max_bytes (int, optional): Maximum size in bytes.

    Raises:
        VideoReadError: If the frames are larger.
    """
    if max_bytes is not None and size > max_bytes:
        raise VideoReadError(
            f'its frames, of {shape[1]} x {shape[0]} pixels, take {size} bytes or more, and '
            f'max_bytes={max_bytes}'
        )


def effective_fps(seconds: np.ndarray | None, reported: float) -> tuple[float, np.ndarray | None]:
    """Find a frame rate that fits the times of all frames, or keep the times.

    Args:
        seconds (np.ndarray, optional): Presentation times, the first at 0, (T,).
        reported (float): Frames per second according to the file, 0 if unknown.

    Returns:
        tuple[float, np.ndarray | None]: Frames per second, as reported or the mean rate of the times; and
        ``seconds`` if this rate deviates by more than half a frame anywhere, otherwise None.
    """
    reported = float(reported or 0)
    if not 0 < reported < np.inf:
        reported = 0.0
    if seconds is None or len(seconds) < 2 or not 0 < seconds[-1] < np.inf:
        return reported or 1.0, None
    mean = (len(seconds) - 1) / float(seconds[-1])
    for fps in (reported, mean):
        if fps > 0 and np.abs(seconds * fps - np.arange(len(seconds))).max() <= 0.5:
            return fps, None
    return mean, seconds
