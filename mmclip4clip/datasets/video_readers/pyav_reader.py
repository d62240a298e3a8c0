import functools
from collections.abc import Iterable, Iterator
from itertools import islice

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from .errors import VideoReadError
from .index_cache import forget_index, open_indexed
from .packet_index import PacketIndex, demux
from .packet_spans import FalseIndexError, plan_spans, seek_spans
from .reader import VideoReader
from .video_streams import open_video

# Codecs that mark non-reference frames. HEVC's mark is valid only within a temporal layer.
MARKS_REFERENCES = ('h264', 'mpeg4', 'mpeg2video', 'mpeg1video')
# Codecs that return no frame of a packet that is falsely marked as a key frame. Others make one up.
RECOVERS = ('h264', 'hevc')
# Codecs whose decoder does not report all damage, so that frames read together may differ.
SILENT = ('hevc',)


class _FalseKeyError(Exception):
    """A packet that is marked as a key frame has none."""


class PyAVReader(VideoReader):
    """Read with PyAV, decoding only what the requested frames need.

    Each requested frame is decoded from the key frame before it, and non-reference frames in between are
    skipped. In an MP4 file with usable tables, and in a file that was read before, only these parts of the
    file are read. If timestamps are unreliable, or a frame is missing, all frames are decoded in order. Both
    ways return the same frames if all packets can be decoded. In order, a packet that cannot be decoded is
    left out, as in ffmpeg, so later frames get lower indices.

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
        self._container, self._stream, self._list = open_indexed(filename)
        self._stream_index, self._codec = self._stream.index, self._stream.codec_context
        self._skips = bool(self._codec.has_b_frames) and self._codec.name in MARKS_REFERENCES
        self.num_frames, self.fps, self.times = self._list.num_frames, self._list.fps, self._list.times
        self.reported_frames = self._list.reported_frames
        self.frame_bytes = 3 * (self._codec.width or 0) * (self._codec.height or 0)
        self._damaged = False  # whether the spans decoded last have damage that the decoder reports

    def _packets(self) -> Iterable[av.Packet]:
        if len(self._list.packets) == len(self._list.stamps):
            return self._list.packets
        self._reopen()
        return demux(self._container, self._stream)

    def _reopen(self) -> None:
        self._container.close()
        self._container, self._stream = open_video(self._filename)
        self._codec = self._stream.codec_context

    def _decode(self, indices: list[int]) -> dict[int, np.ndarray]:
        if self._list.reliable:
            frames = self._decode_spans({int(self._list.order[i]): i for i in indices})
            if len(frames) == len(indices):
                return frames
        return self._decode_all(indices)

    def _decode_undamaged(self, indices: list[int]) -> dict[int, np.ndarray]:
        if not self._list.reliable:  # always decoded in order
            total = self.num_frames
            frames = self._decode_all(indices)
            return frames if self.num_frames == total else {}
        index = self._list
        if self._codec.name in SILENT:
            return {}
        frames = self._decode_spans({int(index.order[i]): i for i in indices})
        undamaged = len(frames) == len(indices) and not self._damaged and self._list is index
        return frames if undamaged else {}

    def _decode_spans(self, wanted: dict[int, int]) -> dict[int, np.ndarray]:
        """Decode the frames with the given timestamps; incomplete if the timestamps are wrong."""
        frames, shown, self._damaged = {}, -np.inf, False
        try:
            for frame in self._frames_of_spans(wanted):
                if frame.pts is None or frame.pts <= shown:
                    return {}  # the timestamps do not define the order after all
                shown = frame.pts
                self._damaged = self._damaged or frame.is_corrupt
                if shown in wanted:
                    frames[wanted[shown]] = self._convert(frame)
        except (av.error.InvalidDataError, _FalseKeyError):
            return {}
        except FalseIndexError:
            self._index_again()
            return self._decode_spans(wanted)
        return frames

    def _frames_of_spans(self, wanted: dict[int, int]) -> Iterator[av.VideoFrame]:
        for span in self._spans(wanted):
            self._codec.flush_buffers()  # an earlier read may have stopped halfway
            first = None
            for number, packet in span:
                first = self._list.stamps[number] if first is None else first
                needless = self._skips and self._list.stamps[number] not in wanted
                self._codec.skip_frame = 'NONREF' if needless else 'DEFAULT'
                yield from self._check_key(first, self._codec.decode(packet))
            yield from self._check_key(first, self._drain())

    def _check_key(self, stamp: int | None, frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Yield frames, of which that with a timestamp must be a key frame."""
        for frame in frames:
            if frame.pts == stamp and not frame.key_frame and self._codec.name not in RECOVERS:
                raise _FalseKeyError
            yield frame

    def _spans(self, wanted: dict[int, int]) -> Iterator[Iterable[tuple[int, av.Packet]]]:
        """Yield the packets of each span with their numbers."""
        if self._list.seek_times and len(self._list.packets) < len(self._list.stamps):
            yield from seek_spans(self._container, self._stream, self._list, wanted)
            return
        packets, number = iter(self._packets()), 0
        for first, last in plan_spans(self._list.stamps, self._list.keys, wanted):
            yield enumerate(islice(packets, first - number, last + 1 - number), first)
            number = last + 1

    def _index_again(self) -> None:
        """Read all packets, because the index is false or their number in memory is limited.

        Raises:
            VideoReadError: If the packets are others than in the index, by which frames have been sampled.
        """
        forget_index(self._filename)
        self._bytes = 0
        self._reopen()
        index = PacketIndex(self._container, self._stream)
        index.seek_times = {}
        if index.fps != self._list.fps or not np.array_equal(index.order, self._list.order):
            raise VideoReadError(
                f'its tables list {self._list.num_frames} frames, at other times than the '
                f'{index.num_frames} in the file'
            )
        self._list = index

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
