import os
from functools import partial

import av
import numpy as np

from .errors import VideoReadError
from .libraries import import_decord
from .packet_index import PacketIndex
from .reader import VideoReader
from .video_streams import check_compatible, open_video

# In other formats, such as MPEG-TS, decord 0.6 may not even start at the first frame.
FORMATS = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm', 'avi')


class DecordReader(VideoReader):
    """Read with decord, with seeks where they are reliable.

    decord 0.6 seeks to key frames by timestamps. Without timestamps (AVI), or if frames are shown before the
    key frame that they follow (open groups of pictures), it silently returns wrong frames. The packets show
    which files are affected. These are read in order.

    Args:
        filename (str): The video.

    Raises:
        VideoReadError: For containers that decord does not read reliably.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmclip4clip.datasets.video_readers import open_reader
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8))
        ...     with open_reader('decord', f'{folder}/v.mp4') as reader:
        ...         frames = reader.read([0, 7])
        >>> reader.num_frames, frames[1].shape
        (8, (48, 64, 3))
    """

    def __init__(self, filename: str) -> None:
        decord = import_decord()
        container, stream = open_video(filename)
        with container:
            if container.format.name not in FORMATS:
                raise VideoReadError(f'decord does not read {container.format.name} reliably')
            check_compatible('decord', container, stream)
            packets = PacketIndex(container, stream)
            _check_claim(container, stream, packets.num_frames)
        self._open = partial(decord.VideoReader, os.path.abspath(filename), num_threads=1)
        self._reader = self._open()
        self._is_at_start = True
        self.num_frames = min(len(self._reader), packets.num_frames)
        self.fps, self.times = packets.fps, packets.times
        self.reported_frames = max(packets.reported_frames, self.num_frames)
        self._can_seek = (
            packets.closed and container.format.name != 'avi' and packets.num_frames == len(self._reader)
        )
        self._shape = stream.codec_context.height, stream.codec_context.width

    def _decode(self, indices: list[int]) -> dict[int, np.ndarray]:
        # A seek costs about as much as decoding three frames.
        was_at_start, self._is_at_start = self._is_at_start, False
        if self._can_seek and indices[-1] >= 3 * len(indices):
            self._count(*self._shape, len(indices))
            return dict(zip(indices, self._reader.get_batch(indices).asnumpy()))
        if not was_at_start:  # a seek back would be unreliable
            self._reader = self._open()
        frames: dict[int, np.ndarray] = {}
        wanted, frame = set(indices), None
        for i in range(indices[-1] + 1):
            try:
                frame = self._reader.next()
            except StopIteration:
                self.num_frames = i
                if frame is not None:
                    frames[i - 1] = frame.asnumpy()
                break
            if i in wanted:
                self._count(*frame.shape[:2])
                frames[i] = frame.asnumpy()
        return frames

    def close(self) -> None:
        """Release decord's threads and buffers."""
        self._reader = None


def _check_claim(container: av.container.InputContainer, stream: av.VideoStream, frames: int) -> None:
    """Reject files for which decord would allocate memory for frames that do not exist.

    Raises:
        VideoReadError: If the file claims many times more frames than it has.
    """
    seconds = float(container.duration or 0) / 1e6
    claim = stream.frames or seconds * float(stream.average_rate or 0)
    if claim > 1000 * (frames + 1000):
        raise VideoReadError(
            f'decord allocates memory for the {claim:.3g} frames that it claims; it has {frames}'
        )
