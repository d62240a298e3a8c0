"""What every backend that reads video files promises."""

from collections.abc import Sequence

import numpy as np

from .errors import NoVideoError, VideoReadError  # noqa: F401  NoVideoError: its old home
from .storage import diagnose_error


class VideoReader:
    """One open video file.

    A reader is made with a file name and may raise anything: :func:`open_reader`
    turns it into a :class:`VideoReadError`.

    Attributes:
        num_frames (int): Frames of the file by its own account; after
            :meth:`read` no more than are known to decode.
        fps (float): Frames per second.
        times (np.ndarray, optional): The second at which each frame is shown, the
            first one at 0, (num_frames,); None where ``fps`` says it well enough,
            see :func:`effective_fps`.
        reported_frames (int): Frames that the container promises, at least ``num_frames``.
        filename (str): The file, to look at when reading fails.
        max_bytes (int, optional): The most that the frames of one :meth:`read` may take.
    """

    num_frames: int
    fps: float
    times: np.ndarray | None = None
    reported_frames: int
    filename: str | None = None
    max_bytes: int | None = None
    _bytes: int = 0  # of the frames that this read has kept so far

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Decode some frames.

        Args:
            indices (Sequence[int]): Numbers of frames, from 0, in the order in which
                they are shown.

        Returns:
            list[np.ndarray]: RGB frames, (H, W, 3) uint8, one an index. Where the
            video ends earlier than it says, its last frame stands for what is
            missing, and ``num_frames`` says so afterwards.

        Raises:
            VideoReadError: If the decoder fails, no frame decodes, or the frames take more
                than ``max_bytes``.
        """
        self._bytes = 0
        try:
            frames = self._decode(sorted({min(int(i), self.num_frames - 1) for i in indices}))
        except Exception as error:  # decoders raise what they like
            raise diagnose_error(error, self.filename) from error
        if not frames:
            raise VideoReadError(f'none of its {self.num_frames} frames decodes')
        return [frames[min(int(i), self.num_frames - 1)] for i in indices]

    def _count(self, height: int, width: int, frames: int = 1) -> None:
        """Refuse frames beyond ``max_bytes``, before they are kept."""
        self._bytes += frames * height * width * 3
        check_bytes(self._bytes, (height, width), self.max_bytes)

    def _decode(self, indices: list[int]) -> dict[int, np.ndarray]:
        """Return the frames of rising indices; on an early end correct ``num_frames`` and add the last."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, *error) -> None:
        self.close()


def check_bytes(size: int, shape: Sequence[int], max_bytes: int | None) -> None:
    """Refuse more frames than memory is meant to hold.

    Args:
        size (int): Bytes of all frames.
        shape (Sequence[int]): Height and width of the last one in pixels.
        filename (str): The file, to look at when reading fails.
        max_bytes (int, optional): The most bytes.

    Raises:
        VideoReadError: If they are more.
    """
    if max_bytes is not None and size > max_bytes:
        raise VideoReadError(
            f'its frames, of {shape[1]} x {shape[0]} pixels, take {size} bytes or more, and '
            f'max_bytes={max_bytes}'
        )


def effective_fps(seconds: np.ndarray | None, reported: float) -> tuple[float, np.ndarray | None]:
    """Find a frame rate that places every frame, or keep the times of all frames.

    Args:
        seconds (np.ndarray, optional): When each frame is shown, the first at 0, (T,).
        reported (float): Frames per second as the file says, 0 for unknown.

    Returns:
        tuple[float, np.ndarray | None]: Frames per second: as reported, else the
        mean of the times. And ``seconds``, if that rate is off by more than half
        a frame anywhere.
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
