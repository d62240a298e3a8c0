import functools
from collections.abc import Iterable, Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from .packet_index import PacketIndex, demux
from .reader import VideoReader
from .video_streams import open_video

# Codecs that mark non-reference frames. HEVC's mark is valid only within a temporal layer.
MARKS_REFERENCES = ('h264', 'mpeg4', 'mpeg2video', 'mpeg1video')


class PyAVReader(VideoReader):
    """Read with PyAV, decoding only what the requested frames need.

    Each requested frame is decoded from the key frame before it, and non-reference frames in between are
    skipped. If timestamps are unreliable, or a frame is missing, all frames are decoded in order. Both ways
    return the same frames if all packets can be decoded. In order, a packet that cannot be decoded is left
    out, as in ffmpeg, so later frames get lower indices.

    Args:
        filename (str): The video.

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

    def __init__(self, filename: str) -> None:
        self._filename, self._to_rgb = filename, VideoReformatter()
        self._container, stream = open_video(filename)
        self._stream_index, self._codec = stream.index, stream.codec_context
        self._list = PacketIndex(self._container, stream)
        self._skips = bool(self._codec.has_b_frames) and self._codec.name in MARKS_REFERENCES
        self.num_frames, self.fps, self.times = self._list.num_frames, self._list.fps, self._list.times
        self.reported_frames = self._list.reported_frames

    def _packets(self) -> Iterable[av.Packet]:
        if len(self._list.packets) == len(self._list.stamps):
            return self._list.packets
        self._container.close()
        self._container, stream = open_video(self._filename)
        return demux(self._container, stream)

    def _decode(self, indices: list[int]) -> dict[int, np.ndarray]:
        if self._list.reliable:
            frames = self._decode_spans({int(self._list.order[i]): i for i in indices})
            if len(frames) == len(indices):
                return frames
        return self._decode_all(indices)

    def _decode_spans(self, wanted: dict[int, int]) -> dict[int, np.ndarray]:
        """Decode the frames with the given timestamps; incomplete if the timestamps are wrong."""
        frames, shown = {}, -np.inf
        try:
            for frame in self._frames_of_spans(wanted):
                if frame.pts is None or frame.pts <= shown:
                    return {}  # the timestamps do not define the order after all
                shown = frame.pts
                if shown in wanted:
                    frames[wanted[shown]] = self._convert(frame)
        except av.error.InvalidDataError:
            return {}
        return frames

    def _frames_of_spans(self, wanted: dict[int, int]) -> Iterator[av.VideoFrame]:
        spans = plan_spans(self._list.stamps, self._list.keys, wanted)
        self._codec.flush_buffers()  # an earlier read may have stopped halfway
        for number, packet in enumerate(self._packets()):
            if spans[0][0] <= number <= spans[0][1]:
                needless = self._skips and self._list.stamps[number] not in wanted
                self._codec.skip_frame = 'NONREF' if needless else 'DEFAULT'
                yield from self._codec.decode(packet)
            if number == spans[0][1]:
                yield from self._drain()
                del spans[0]
                if not spans:
                    return

    def _drain(self) -> Iterator[av.VideoFrame]:
        """Get the delayed frames of the decoder and reset it."""
        yield from self._codec.decode(None)
        self._codec.flush_buffers()

    def _decode_all(self, indices: list[int]) -> dict[int, np.ndarray]:
        """Decode and count all frames up to the last requested one."""
        self._bytes = 0  # the frames of the spans are discarded
        frames, wanted, number = {}, set(indices), -1
        frame: av.VideoFrame | None = None
        for number, frame in enumerate(self._frames_in_order()):
            if number in wanted:
                frames[number] = self._convert(frame)
            if number == indices[-1]:
                return frames
        self.num_frames = number + 1
        if frame is not None:
            frames[number] = self._convert(frame)
        return frames

    def _frames_in_order(self) -> Iterator[av.VideoFrame]:
        self._codec.flush_buffers()
        self._codec.skip_frame = 'DEFAULT'
        for packet in self._packets():
            try:
                yield from self._codec.decode(packet)
            except av.error.InvalidDataError:
                continue
        yield from self._drain()

    def _convert(self, frame: av.VideoFrame) -> np.ndarray:
        self._count(frame.height, frame.width)
        rgb = self._to_rgb.reformat(frame, format='rgb24', **_one_thread()).to_ndarray()
        turns = round(frame.rotation / 90)  # upright, as in decord and OpenCV
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb

    def close(self) -> None:
        """Close the file."""
        self._container.close()


@functools.cache
def _one_thread() -> dict[str, int]:
    """Return the argument with which PyAV converts colors in one thread; older releases do so without it."""
    try:
        VideoReformatter().reformat(av.VideoFrame(2, 2, 'rgb24'), format='rgb24', threads=1)
    except TypeError:
        return {}
    return {'threads': 1}


def plan_spans(stamps: Sequence[int | None], keys: Sequence[int], wanted: Iterable[int]) -> list[list[int]]:
    """Find the packets to decode for the requested frames.

    Args:
        stamps (Sequence[int | None]): Presentation timestamp of the frame of each packet.
        keys (Sequence[int]): Indices of the packets with key frames.
        wanted (Iterable[int]): Timestamps of the requested frames.

    Returns:
        list[list[int]]: First and last packet of each span to decode, increasing and disjoint. A span starts
        with a key frame that is shown no later than its first requested frame, which therefore depends on
        no earlier packet.
    """
    places = {stamp: number for number, stamp in enumerate(stamps)}
    spans: list[list[int]] = []
    for first, last in sorted(
        (
            max(
                (
                    k
                    for k in keys
                    if k <= places[stamp] and (shown := stamps[k]) is not None and shown <= stamp
                ),
                default=0,
            ),
            places[stamp],
        )
        for stamp in wanted
    ):
        if spans and first <= spans[-1][1] + 1:
            spans[-1][1] = max(spans[-1][1], last)
        else:
            spans.append([first, last])
    return spans
