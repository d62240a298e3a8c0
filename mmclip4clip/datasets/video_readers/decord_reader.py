from typing import Dict, List

import numpy as np

from .base import VideoReader, VideoReadError
from .packets import PacketList, open_video

# Elsewhere, as in MPEG-TS, decord 0.6 may not even begin at the first frame.
FORMATS = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm', 'avi')


class DecordReader(VideoReader):
    """Read with decord, seeking where it can.

    decord 0.6 seeks by timestamps to key frames. Where there are no timestamps
    (AVI), or frames are shown before the key frame they follow (open groups of
    pictures), it returns wrong frames without a word. The packets tell which
    files those are; they are read in order instead.

    Args:
        filename (str): The video.

    Raises:
        VideoReadError: For containers that decord does not read reliably.
    """

    def __init__(self, filename: str) -> None:
        import decord
        container, stream = open_video(filename)
        with container:
            if container.format.name not in FORMATS:
                raise VideoReadError(f'decord does not read {container.format.name} reliably')
            packets = PacketList(container, stream)
        self._reader = decord.VideoReader(filename, num_threads=1)
        self.num_frames, self.fps, self.times = len(self._reader), packets.fps, packets.times
        self.reported_frames = max(packets.reported_frames, self.num_frames)
        self._can_seek = (packets.closed and container.format.name != 'avi'
                          and packets.num_frames == self.num_frames)

    def _decode(self, indices: List[int]) -> Dict[int, np.ndarray]:
        # A seek costs about as much as decoding three frames.
        if self._can_seek and indices[-1] >= 3 * len(indices):
            return dict(zip(indices, self._reader.get_batch(indices).asnumpy()))
        frames, wanted, frame = {}, set(indices), None
        for i in range(indices[-1] + 1):
            try:
                frame = self._reader.next()
            except StopIteration:
                self.num_frames = i
                if i:
                    frames[i - 1] = frame.asnumpy()
                break
            if i in wanted:
                frames[i] = frame.asnumpy()
        return frames

    def close(self) -> None:
        """Free decord's threads and buffers."""
        self._reader = None
