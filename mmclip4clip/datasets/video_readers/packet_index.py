"""What a video file says of its frames, before any is decoded."""

from collections.abc import Iterator
from contextlib import suppress

import av
import numpy as np

from .errors import NoVideoError, VideoReadError
from .reader import effective_fps
from .storage import StoredFile, refuse_playlist

MAX_PACKET_BYTES = 64 * 2**20  # bytes of packets to keep; the rest is read again
PICTURES = (
    av.stream.Disposition.attached_pic
    | av.stream.Disposition.still_image
    | av.stream.Disposition.timed_thumbnails
)  # the cover of a song
PLAYLIST_FORMATS = ('concat', 'dash', 'hls', 'imf', 'rtsp', 'sdp', 'vobsub')
PICTURE_CODECS = ('bmp', 'gif', 'jpeg2000', 'jpegxl', 'mjpeg', 'png', 'tiff', 'webp')


def open_video(filename: str) -> tuple[av.container.InputContainer, av.VideoStream]:
    """Open a file at the one video stream that all backends read.

    A song's cover is none, nor is a still beside a stream of moving frames. Of
    several streams it is the one that ffmpeg calls best.

    Raises:
        NoVideoError: If it is a picture or a playlist, or holds no video.
    """
    refuse_playlist(filename)
    container = av.open(StoredFile(filename), metadata_errors='ignore')
    if container.format.name in PLAYLIST_FORMATS:
        raise NoVideoError(f'it is a playlist ({container.format.name}), whose files are not read')
    if container.format.name.endswith('_pipe') or container.format.name == 'image2':
        raise NoVideoError(f'it is a picture ({container.format.name})')
    streams = [stream for stream in container.streams.video if not stream.disposition & PICTURES]
    if len(streams) > 1:
        streams = [
            container.streams[index] for index in _moving_streams(filename, [s.index for s in streams])
        ]
    if not streams:
        covers = len(container.streams.video)
        raise NoVideoError('it has no video stream' + (f', only {covers} cover pictures' if covers else ''))
    best = container.streams.best('video')
    stream = best if best in streams else streams[0]
    stream.codec_context.thread_count = 1  # a data loader's processes are parallel enough
    return container, stream


def _moving_streams(filename: str, indices: list[int]) -> list[int]:
    """Leave out streams of one picture, unless there are no others."""
    frames = dict.fromkeys(indices, 0)
    with (
        av.open(StoredFile(filename), metadata_errors='ignore') as container,
        suppress(av.error.InvalidDataError),
    ):  # a damaged file ends there
        for packet in container.demux([container.streams[index] for index in indices]):
            if packet.size:
                frames[packet.stream_index] += 1
            if min(frames.values()) > 1:
                break
    return [index for index in indices if frames[index] > 1] or indices


def check_compatible(backend: str, container: av.container.InputContainer, stream: av.VideoStream) -> None:
    """Refuse what other libraries are known to read otherwise than PyAV does here.

    They do not say which stream they take, and their colors of more than 8 bits
    differ: by up to 50 of 255 levels with decord 0.6, and OpenCV 5 shows noise
    where the primaries are those of BT.2020.

    Args:
        backend (str): The library, for the message.
        container (av.container.InputContainer): The file.
        stream (av.VideoStream): The stream that :func:`open_video` has chosen.

    Raises:
        VideoReadError: If the file has several video streams, or deeper colors.
    """
    others = len(container.streams.video) - 1
    if others:
        raise VideoReadError(
            f'{backend} may read another one of its {others + 1} video streams, covers among them'
        )
    pixels = stream.codec_context.format
    bits = max((part.bits for part in pixels.components), default=8) if pixels else 8
    if bits > 8:
        raise VideoReadError(f'{backend} reads other colors from {pixels.name}, of {bits} bits')


def demux(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Yield the packets of a stream, up to where a damaged file ends."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.error.InvalidDataError:
        return


class PacketIndex:
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
        self.stamps: list[int | None] = []
        self.keys, self.packets, size = [], [], 0
        for packet in demux(container, stream):
            if packet.is_keyframe:
                self.keys.append(len(self.stamps))
            self.stamps.append(None if packet.is_discard else packet.pts)
            size += packet.size
            if size <= MAX_PACKET_BYTES:
                self.packets.append(packet)
        if not self.stamps:
            raise NoVideoError('it has no frame')
        if len(self.stamps) == 1 and stream.codec_context.name in PICTURE_CODECS:
            raise NoVideoError(f'it is a picture ({stream.codec_context.name})')
        shown = [stamp for stamp in self.stamps if stamp is not None]
        self.order = np.sort(np.array(shown, dtype=np.int64))
        # AVI has no timestamps; libavformat makes them up, wrongly where frames are reordered.
        made_up = container.format.name == 'avi' and stream.codec_context.has_b_frames
        bounded = bool(shown) and max(shown) - min(shown) < 2**62  # differences must not wrap around
        self.reliable = bounded and not made_up and bool((np.diff(self.order) > 0).all())
        self.closed = self.reliable and self._is_closed()
        self.num_frames = len(shown) or len(self.stamps)
        self.reported_frames = self.num_frames + max(0, stream.frames - len(self.stamps))
        seconds = (self.order - self.order[0]) * float(stream.time_base) if self.reliable else None
        self.fps, self.times = effective_fps(seconds, stream.average_rate or stream.guessed_rate)

    def _is_closed(self) -> bool:
        shown = np.array([-np.inf if stamp is None else stamp for stamp in self.stamps])
        is_key = np.zeros(len(shown), bool)
        is_key[self.keys] = True
        last_key = np.maximum.accumulate(np.where(is_key, shown, -np.inf))
        return bool((shown >= last_key)[np.isfinite(shown)].all())
