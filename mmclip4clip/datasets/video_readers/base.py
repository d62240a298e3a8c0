"""What every backend that reads video files promises."""
import re
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np


class VideoReadError(RuntimeError):
    """A video that cannot be read; at the end of the way the message names the file and every cause."""


class NoVideoError(VideoReadError):
    """A file that can be opened, but holds no video: sound only, a picture, or no frame at all."""


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
            see :func:`settle_rate`.
        reported_frames (int): Frames that the container promises, at least ``num_frames``.
    """

    num_frames: int
    fps: float
    times: Optional[np.ndarray] = None
    reported_frames: int

    def read(self, indices: Sequence[int]) -> List[np.ndarray]:
        """Decode some frames.

        Args:
            indices (Sequence[int]): Numbers of frames, from 0, in the order in which
                they are shown.

        Returns:
            list[np.ndarray]: RGB frames, (H, W, 3) uint8, one an index. Where the
            video ends earlier than it says, its last frame stands for what is
            missing, and ``num_frames`` says so afterwards.

        Raises:
            VideoReadError: If the decoder fails, or no frame decodes.
        """
        try:
            frames = self._decode(sorted({min(int(i), self.num_frames - 1) for i in indices}))
        except VideoReadError:
            raise
        except Exception as error:  # decoders raise what they like
            raise VideoReadError(describe(error)) from error
        if not frames:
            raise VideoReadError(f'none of its {self.num_frames} frames decodes')
        return [frames[min(int(i), self.num_frames - 1)] for i in indices]

    def _decode(self, indices: List[int]) -> Dict[int, np.ndarray]:
        """Return the frames of rising indices; on an early end correct ``num_frames`` and add the last."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, *error) -> None:
        self.close()


def describe(error: BaseException) -> str:
    """Put an error into one short line."""
    lines = (getattr(error, 'strerror', None) or str(error)).strip().splitlines()
    if not lines:
        return type(error).__name__
    said = re.sub(r'\[[\d:]+\] \S+: ', '', lines[0])  # decord's time and place in its source
    return f'{type(error).__name__}: {said[:200]}'


def settle_rate(seconds: Optional[np.ndarray], reported: float) -> Tuple[float, Optional[np.ndarray]]:
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
    if seconds is None or len(seconds) < 2 or not seconds[-1] > 0:
        return reported or 1.0, None
    mean = (len(seconds) - 1) / float(seconds[-1])
    for fps in (reported, mean):
        if fps > 0 and np.abs(seconds * fps - np.arange(len(seconds))).max() <= 0.5:
            return fps, None
    return mean, seconds
