from collections.abc import Iterable, Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from .packet_index import PacketIndex, demux, open_video
from .reader import VideoReader

# Where the standard marks frames that no other is decoded from. HEVC's mark holds within a temporal
# layer only.
MARKS_REFERENCES = ('h264', 'mpeg4', 'mpeg2video', 'mpeg1video')


class PyAVReader(VideoReader):
    """Read with PyAV, decoding no more than the wanted frames need.

    Each wanted frame is decoded from the key frame before it, and what no other
    frame is decoded from is skipped in between. Where timestamps cannot be
    relied on, or a frame does not turn up, all frames are decoded in order. The
    frames are the same either way where all packets decode. In order, a packet
    that does not decode is left out, as ffmpeg does: the frames after it count
    on, so that they are taken for earlier ones.

    Args:
        filename (str): The video.
    """

    def __init__(self, filename: str) -> None:
        self._filename, self._to_rgb = filename, VideoReformatter()
        self._container, stream = open_video(filename)
        self._codec = stream.codec_context
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
        """Decode the frames with some stamps; they are incomplete if the file is not as it seems."""
        frames, shown = {}, -np.inf
        try:
            for frame in self._frames_of_spans(wanted):
                if frame.pts is None or frame.pts <= shown:
                    return {}  # the stamps do not tell the order after all
                shown = frame.pts
                if shown in wanted:
                    frames[wanted[shown]] = self._convert(frame)
        except av.error.InvalidDataError:
            return {}
        return frames

    def _frames_of_spans(self, wanted: dict[int, int]) -> Iterator[av.VideoFrame]:
        spans = plan_spans(self._list.stamps, self._list.keys, wanted)
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
        """Get what the decoder holds back, and let it begin anew."""
        yield from self._codec.decode(None)
        self._codec.flush_buffers()

    def _decode_all(self, indices: list[int]) -> dict[int, np.ndarray]:
        """Decode from the first frame to the last wanted one, and count."""
        self._bytes = 0  # what spans gave is not kept
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
        rgb = self._to_rgb.reformat(frame, format='rgb24', threads=1).to_ndarray()
        turns = round(frame.rotation / 90)  # upright, as decord and OpenCV have it
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def plan_spans(stamps: Sequence[int | None], keys: Sequence[int], wanted: Iterable[int]) -> list[list[int]]:
    """Find which packets to decode for some frames.

    Args:
        stamps (Sequence[int | None]): When the frame of each packet is shown.
        keys (Sequence[int]): Numbers of the packets with key frames.
        wanted (Iterable[int]): Stamps of the wanted frames.

    Returns:
        list[list[int]]: First and last packet of each run to decode, rising and
        apart from one another. A run begins with a key frame that is shown no
        later than its first wanted frame, which so needs nothing from before.
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
