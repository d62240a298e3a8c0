"""Open a video file and select its video stream, or reject files that contain no video."""

import os
import stat
from contextlib import suppress
from typing import Any

import av
from packaging.version import Version

from .errors import NoVideoError, VideoReadError
from .storage_errors import StoredFile

PICTURES = (
    av.stream.Disposition.attached_pic
    | av.stream.Disposition.still_image
    | av.stream.Disposition.timed_thumbnails
)  # such as the cover of a song
PLAYLIST_FORMATS = ('concat', 'dash', 'hls', 'imf', 'rtsp', 'sdp', 'vobsub')
PICTURE_CODECS = ('bmp', 'gif', 'jpeg2000', 'jpegxl', 'mjpeg', 'png', 'tiff', 'webp')
HEAD_BYTES = 4096, 2**20  # bytes to inspect, and more if they contain no zero byte, as in text files
PLAYLISTS = b'#EXTM3U', b'ffconcat', b'# VobSub index file'
MANIFESTS = b'<MPD', b'<CompositionPlaylist', b'c=IN IP'

# Names and comments in a file may be in any encoding; from version 19 on, PyAV reads all of them.
ANY_METADATA: dict[str, Any] = {} if Version(av.__version__).major >= 19 else dict(metadata_errors='ignore')
# A file that names others, and was not recognized as a playlist, opens none of them, and no address.
ALONE: dict[str, Any] = dict(container_options=dict(protocol_whitelist='none'), **ANY_METADATA)


def open_video(filename: str) -> tuple[av.container.InputContainer, av.VideoStream]:
    """Open a file and select the video stream that all backends read.

    Covers of songs and still images beside a stream of several frames are ignored. Of several streams,
    ffmpeg's best one is selected.

    Raises:
        NoVideoError: If the file is a picture or a playlist, or contains no video.
    """
    refuse_playlist(filename)
    container = av.open(StoredFile(filename), mode='r', **ALONE)
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
        av.open(StoredFile(filename), **ALONE) as container,
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
    pixels, bits = stream.codec_context.format, color_bits(stream.codec_context)
    if pixels and bits > 8:
        raise VideoReadError(f'{backend} reads other colors from {pixels.name}, of {bits} bits')


def color_bits(codec: av.VideoCodecContext) -> int:
    """Return the bits of a stream's finest color component, 8 if the stream does not say."""
    return max((part.bits for part in codec.format.components), default=8) if codec.format else 8


def refuse_playlist(filename: str) -> None:
    """Reject text files named like videos that make ffmpeg open other files or addresses.

    Raises:
        NoVideoError: If the file is an HLS, DASH, IMF or ffmpeg playlist, a session description or a subtitle
            index.
    """
    try:
        if not stat.S_ISREG(os.stat(filename).st_mode):  # reading a pipe would never end
            return
        with open(filename, 'rb') as file:
            begin = file.read(HEAD_BYTES[0])
            begin += b'' if b'\0' in begin else file.read(HEAD_BYTES[1])
    except OSError:  # the next read reports it
        return
    text = begin.lstrip(b'\xef\xbb\xbf \t\r\n')
    if text.startswith(PLAYLISTS) or b'\0' not in begin and any(word in begin for word in MANIFESTS):
        raise NoVideoError('it is a playlist, whose files are not read')
