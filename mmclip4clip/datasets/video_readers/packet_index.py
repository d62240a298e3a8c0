"""Index the packets of a video file without decoding frames."""

from collections.abc import Iterator
from contextlib import suppress

import av
import numpy as np

from .errors import NoVideoError, VideoReadError
from .reader import effective_fps
from .storage_errors import StoredFile, refuse_playlist

MAX_PACKET_BYTES = 64 * 2**20  # bytes of packets to keep in memory; the rest is read again
PICTURES = (
    av.stream.Disposition.attached_pic
    | av.stream.Disposition.still_image
    | av.stream.Disposition.timed_thumbnails
)  # such as the cover of a song
PLAYLIST_FORMATS = ('concat', 'dash', 'hls', 'imf', 'rtsp', 'sdp', 'vobsub')
PICTURE_CODECS = ('bmp', 'gif', 'jpeg2000', 'jpegxl', 'mjpeg', 'png', 'tiff', 'webp')


def open_video(filename: str) -> tuple[av.container.InputContainer, av.VideoStream]:
    """Open a file and select the video stream that all backends read.

    Covers of songs and still images beside a stream of several frames are ignored. Of several streams,
    ffmpeg's best one is selected.

    Raises:
        NoVideoError: If the file is a picture or a playlist, or contains no video.
    """
    refuse_playlist(filename)
    container = av.open(StoredFile(filename), mode='r', metadata_errors='ignore')
    if container.format.name in PLAYLIST_FORMATS:
        raise NoVideoError(f'it is a playlist ({container.format.name}), whose files are not read')
    if container.format.name.endswith('_pipe') or container.format.name == 'image2':
        raise NoVideoError(f'it is a picture ({container.format.name})')
    streams = [stream for stream in container.streams.video if not stream.disposition & PICTURES]
    if len(streams) > 1:
        moving = _moving_streams(filename, [stream.index for stream in streams])
        streams = [stream for stream in streams if stream.index in moving]
    if not streams:
        covers = len(container.streams.video)
        raise NoVideoError('it has no video stream' + (f', only {covers} cover pictures' if covers else ''))
    best = container.streams.best('video')
    stream = next((stream for stream in streams if stream == best), streams[0])
    stream.codec_context.thread_count = 1  # the workers of a dataloader already run in parallel
    return container, stream


def _moving_streams(filename: str, indices: list[int]) -> list[int]:
    """Return the streams with several pictures, or all streams if there are none."""
    frames = dict.fromkeys(indices, 0)
    with (
        av.open(StoredFile(filename), metadata_errors='ignore') as container,
        suppress(av.error.InvalidDataError),
    ):  # stop where a damaged file becomes unreadable
        for packet in container.demux([container.streams[index] for index in indices]):
            if packet.size:
                frames[packet.stream_index] += 1
            if min(frames.values()) > 1:
                break
    return [index for index in indices if frames[index] > 1] or indices


def check_compatible(backend: str, container: av.container.InputContainer, stream: av.VideoStream) -> None:
    """Reject files that another library is known to read differently from PyAV.

    Other libraries do not report which stream they read. They also decode colors of more than 8 bits
    differently: decord 0.6 by up to 50 of 255 levels, and OpenCV 5 returns noise for BT.2020 primaries.

    Args:
        backend (str): The library, for the error message.
        container (av.container.InputContainer): The file.
        stream (av.VideoStream): The stream that :func:`open_video` selected.

    Raises:
        VideoReadError: If the file has several video streams, or colors of more than 8 bits.
    """
    others = len(container.streams.video) - 1
    if others:
        raise VideoReadError(
            f'{backend} may read another one of its {others + 1} video streams, covers among them'
        )
    pixels = stream.codec_context.format
    bits = max((part.bits for part in pixels.components), default=8) if pixels else 8
    if pixels and bits > 8:
        raise VideoReadError(f'{backend} reads other colors from {pixels.name}, of {bits} bits')


def demux(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Yield the packets of a stream, up to the first damage that stops the demuxer."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.error.InvalidDataError:
        return


class PacketIndex:
    """Packets of a video in decoding order, which is the order of the file.

    Attributes:
        stamps (list[int | None]): Presentation timestamp of each packet's frame, in units of the stream;
            None for a frame that is never shown.
        keys (list[int]): Indices of the packets with key frames.
        packets (list[av.Packet]): The packets, up to the memory limit.
        order (np.ndarray): Timestamps of the frames in presentation order, (num_frames,).
        reliable (bool): Whether the timestamps define the presentation order.
        closed (bool): Whether all groups of pictures are closed: no frame shown before a key frame is decoded
            after it, so decoding can start at any key frame.
        num_frames, fps, times, reported_frames: As in :class:`VideoReader`.

    Raises:
        NoVideoError: If there are no packets.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8), fps=4)
        ...     index = PacketIndex(*open_video(f'{folder}/v.mp4'))
        >>> index.num_frames, index.fps
        (8, 4.0)
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
        # AVI has no timestamps; libavformat generates them, incorrectly if frames are reordered.
        made_up = container.format.name == 'avi' and stream.codec_context.has_b_frames
        bounded = bool(shown) and max(shown) - min(shown) < 2**62  # differences must not overflow
        self.reliable = bounded and not made_up and bool((np.diff(self.order) > 0).all())
        self.closed = self.reliable and self._is_closed()
        self.num_frames = len(shown) or len(self.stamps)
        self.reported_frames = self.num_frames + max(0, stream.frames - len(self.stamps))
        unit, rate = float(stream.time_base or 0), float(stream.average_rate or stream.guessed_rate or 0)
        seconds = (self.order - self.order[0]) * unit if self.reliable else None
        self.fps, self.times = effective_fps(seconds, rate)

    def _is_closed(self) -> bool:
        shown = np.array([-np.inf if stamp is None else stamp for stamp in self.stamps])
        is_key = np.zeros(len(shown), bool)
        is_key[self.keys] = True
        last_key = np.maximum.accumulate(np.where(is_key, shown, -np.inf))
        return bool((shown >= last_key)[np.isfinite(shown)].all())
