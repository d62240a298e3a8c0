import os

import numpy as np

from .libraries import import_torchcodec
from .pyav_reader import PyAVReader
from .video_streams import color_bits


class TorchCodecReader(PyAVReader):
    """Read with torchcodec, and with PyAV what torchcodec does not find.

    torchcodec finds frames by their timestamps, and stops at a packet that cannot be decoded. PyAV, which
    indexes the packets for all backends, reads files with unreliable timestamps, damaged packets, or colors
    of more than 8 bits, which torchcodec rounds differently. The time of each frame of torchcodec is compared
    with the index, so that a wrong frame is never returned.

    Args:
        filename (str): The video.

    Raises:
        ImportError: If torchcodec cannot be loaded.

    Examples:
        >>> from mmclip4clip.datasets.video_readers import check_backends
        >>> try:
        ...     check_backends(['torchcodec'])
        ... except ImportError as error:  # it says what to install
        ...     assert 'torchcodec' in str(error)
    """

    def __init__(self, filename: str) -> None:
        self._open_decoder = import_torchcodec().VideoDecoder
        super().__init__(filename)

    def _decode(self, indices: list[int]) -> dict[int, np.ndarray]:
        if self._list.reliable and color_bits(self._codec) <= 8:
            frames = self._find(indices)
            if frames:
                return frames
            self._bytes = 0
        return super()._decode(indices)

    def _find(self, indices: list[int]) -> dict[int, np.ndarray]:
        """Return torchcodec's frames, or none if it does not return exactly the requested ones."""
        self._count(self._codec.height, self._codec.width, len(indices))
        try:
            decoder = self._open_decoder(
                os.path.abspath(self._filename),  # "a:b.mp4" alone would be a protocol
                stream_index=self._stream_index,
                dimension_order='NHWC',
                num_ffmpeg_threads=1,
                device='cpu',
                seek_mode='exact',
            )
            batch = decoder.get_frames_at(indices)
        except (RuntimeError, IndexError, ValueError):  # PyAV says what is wrong with the file, or reads it
            return {}
        # Of AVI, versions of FFmpeg give times that all differ by a frame: the first frame counts as 0.
        times = batch.pts_seconds.numpy() - decoder.metadata.begin_stream_seconds
        expected = (self._list.order[indices] - self._list.order[0]) * self._list.unit
        if len(decoder) != len(self._list.order) or np.abs(times - expected).max() > self._list.unit / 2:
            return {}
        return dict(zip(indices, batch.data.numpy()))
