"""Index the packets of a video file without decoding frames."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import av
import numpy as np

from .errors import NoVideoError
from .reader import effective_fps
from .sample_table import SampleTable
from .video_streams import PICTURE_CODECS

MAX_PACKET_BYTES = 64 * 2**20  # bytes of packets to keep in memory; the rest is read again
SEEKABLE = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm')  # formats in which a seek finds key frames


def demux(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Yield the packets of a stream, up to the first damage that stops the demuxer."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.error.InvalidDataError:
        return


class PacketIndex:
    """Packets of a video in decoding order, which is the order of the file.

    Attributes:
        stamps (list[int | None] | np.ndarray): Presentation timestamp of each packet's frame, in units of the
            stream; None for a frame that is never shown. An array if a table lists them.
        keys (list[int]): Indices of the packets with key frames.
        packets (list[av.Packet]): The packets, up to the memory limit; none if a table lists them.
        seek_times (dict[int, int]): For each key frame, the timestamp to seek to; empty if a seek is not
            reliable.
        order (np.ndarray): Timestamps of the frames in presentation order, (num_frames,).
        unit (float): Unit of the timestamps in seconds, 0 if unknown.
        reliable (bool): Whether the timestamps define the presentation order.
        closed (bool): Whether all groups of pictures are closed: no frame shown before a key frame is decoded
            after it, so decoding can start at any key frame.
        num_frames, fps, times, reported_frames: As in :class:`VideoReader`.

    Raises:
        NoVideoError: If there are no packets.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.datasets.video_readers.video_streams import open_video
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8), fps=4)
        ...     index = PacketIndex(*open_video(f'{folder}/v.mp4'))
        >>> index.num_frames, index.fps
        (8, 4.0)
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        table: SampleTable | None = None,
    ) -> None:
        self.stamps: Any = []
        self.keys: list[int] = []
        self.packets: list[av.Packet] = []
        if table is None:
            decoded = self._read_packets(container, stream)
        else:
            self.stamps, self.keys = table.shown, table.keys.tolist()
            decoded = table.decoded[table.keys].tolist()
        if not len(self.stamps):
            raise NoVideoError('it has no frame')
        if len(self.stamps) == 1 and stream.codec_context.name in PICTURE_CODECS:
            raise NoVideoError(f'it is a picture ({stream.codec_context.name})')
        shown = self.stamps if table else [stamp for stamp in self.stamps if stamp is not None]
        self.order = np.sort(np.array(shown, dtype=np.int64))
        # AVI has no timestamps; libavformat generates them, incorrectly if frames are reordered.
        made_up = container.format.name == 'avi' and stream.codec_context.has_b_frames
        bounded = len(shown) > 0 and int(self.order[-1]) - int(self.order[0]) < 2**62  # no overflow
        self.reliable = bounded and not made_up and bool((np.diff(self.order) > 0).all())
        self.num_frames = len(shown) or len(self.stamps)
        self.reported_frames = self.num_frames + max(0, stream.frames - len(self.stamps))
        self.unit, rate = float(stream.time_base or 0), float(stream.average_rate or stream.guessed_rate or 0)
        seconds = (self.order - self.order[0]) * self.unit if self.reliable else None
        self.fps, self.times = effective_fps(seconds, rate)
        times = decoded if container.format.name == SEEKABLE[0] else [self.stamps[key] for key in self.keys]
        can_seek = self.reliable and container.format.name in SEEKABLE
        self.seek_times = dict(zip(self.keys, times)) if can_seek and None not in times else {}

    def _read_packets(self, container: av.container.InputContainer, stream: av.VideoStream) -> list:
        """Read all packets, and return the decoding timestamps of the key frames."""
        decoded, size = [], 0
        for packet in demux(container, stream):
            if packet.is_keyframe:
                self.keys.append(len(self.stamps))
                decoded.append(packet.dts)
            self.stamps.append(None if packet.is_discard else packet.pts)
            size += packet.size
            if size <= MAX_PACKET_BYTES:
                self.packets.append(packet)
        return decoded

    @cached_property
    def closed(self) -> bool:
        """Whether all groups of pictures are closed."""
        if not self.reliable:
            return False
        shown = np.array([-np.inf if stamp is None else stamp for stamp in self.stamps])
        is_key = np.zeros(len(shown), bool)
        is_key[self.keys] = True
        last_key = np.maximum.accumulate(np.where(is_key, shown, -np.inf))
        return bool((shown >= last_key)[np.isfinite(shown)].all())
