import numpy as np

from .reader import VideoReader


class ArrayReader(VideoReader):
    """A video whose frames are decoded already and lie in memory.

    Args:
        frames (np.ndarray): All frames, RGB, (T, H, W, 3) uint8.
        fps (float): Frames per second.
        max_bytes (int, optional): Maximum size in bytes of the frames of one read.

    Examples:
        >>> import numpy as np
        >>> reader = ArrayReader(np.zeros((8, 48, 64, 3), np.uint8), fps=4)
        >>> reader.num_frames, reader.read([0, 7])[1].shape
        (8, (48, 64, 3))
    """

    def __init__(self, frames: np.ndarray, fps: float, max_bytes: int | None = None) -> None:
        self.frames, self.fps, self.max_bytes = frames, fps, max_bytes
        self.num_frames = self.reported_frames = len(frames)

    def _decode(self, indices: list[int]) -> dict[int, np.ndarray]:
        height, width = self.frames.shape[1:3]
        self._count(height, width, len(indices))
        # Copied, because later transforms may change frames in place.
        return {index: np.array(self.frames[index], order='C') for index in indices}
