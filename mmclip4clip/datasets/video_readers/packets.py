"""What a video file says of its frames, before any is decoded."""
from typing import Iterator, List, Optional, Tuple

import av
import numpy as np

from .base import NoVideoError, settle_rate

IN_MEMORY = 64 * 2**20  # bytes of packets to keep; the rest is read again


def open_video(filename: str) -> Tuple[av.container.InputContainer, av.VideoStream]:
    """Open a file at its first video stream.

    Raises:
        NoVideoError: If it is a picture, or holds no video.
    """
    container = av.open(filename, metadata_errors='ignore')
    if container.format.name.endswith('_pipe') or container.format.name == 'image2':
        raise NoVideoError(f'it is a picture ({container.format.name})')
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:  # the cover of a song
            stream.codec_context.thread_count = 1  # a data loader's processes are parallel enough
            return container, stream
    raise NoVideoError('it has no video stream')


def demux(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Yield the packets of a stream, up to where a damaged file ends."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.error.InvalidDataError:
        return


class PacketList:
    """The packets of a video in the order of the file, that is, of decoding.

    Attributes:
        stamps (list[int | None]): When each packet's frame is shown, in units of
            the stream; None for a frame that is never shown.
        keys (list[int]): Numbers of the packets with key frames.
        packets (list[av.Packet]): The packets, as far as they fit into memory.
        order (np.ndarray): Stamps of the frames in the order of showing, (num_frames,).
        reliable (bool): Whether the stamps tell that order.
        closed (bool): Whether nothing that is shown before a key frame is decoded
            after it, so that one can start at any key frame.
        num_frames, fps, times, reported_frames: As in :class:`VideoReader`.

    Raises:
        NoVideoError: If there is no packet.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self.stamps: List[Optional[int]] = []
        self.keys, self.packets, size = [], [], 0
        for packet in demux(container, stream):
            if packet.is_keyframe:
                self.keys.append(len(self.stamps))
            self.stamps.append(None if packet.is_discard else packet.pts)
            size += packet.size
            if size <= IN_MEMORY:
                self.packets.append(packet)
        if not self.stamps:
            raise NoVideoError('it has no frame')
        shown = [stamp for stamp in self.stamps if stamp is not None]
        self.order = np.sort(np.array(shown, dtype=np.int64))
        # AVI has no timestamps; libavformat makes them up, wrongly where frames are reordered.
        made_up = container.format.name == 'avi' and stream.codec_context.has_b_frames
        self.reliable = bool(shown) and not made_up and bool((np.diff(self.order) > 0).all())
        self.closed = self.reliable and self._is_closed()
        self.num_frames = len(shown) or len(self.stamps)
        self.reported_frames = self.num_frames + max(0, stream.frames - len(self.stamps))
        seconds = (self.order - self.order[0]) * float(stream.time_base) if self.reliable else None
        self.fps, self.times = settle_rate(seconds, stream.average_rate or stream.guessed_rate)

    def _is_closed(self) -> bool:
        shown = np.array([-np.inf if stamp is None else stamp for stamp in self.stamps])
        is_key = np.zeros(len(shown), bool)
        is_key[self.keys] = True
        last_key = np.maximum.accumulate(np.where(is_key, shown, -np.inf))
        return bool((shown >= last_key)[np.isfinite(shown)].all())
