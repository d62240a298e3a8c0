"""Compress videos to few frames per second and few pixels, like CLIP4Clip's data preparation."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from ..datasets.video_readers import NoVideoError
from ..datasets.video_readers.video_streams import open_video

MAX_FRAME_SECONDS = (
    3600.0  # seconds that one frame may be shown; longer times are probably damaged timestamps
)


class Compressed(NamedTuple):
    """Result of :func:`compress_video`.

    Args:
        frames (int): Number of written frames.
        before (int): Size of the source in bytes.
        after (int): Size of the compressed video in bytes.

    Examples:
        >>> done = Compressed(frames=30, before=4_000_000, after=100_000)
        >>> f'{done.after / done.before:.1%}'
        '2.5%'
    """

    frames: int
    before: int
    after: int


def compress_video(
    source: Path, target: Path, fps: float = 3.0, short_side: int = 224, crf: int = 23
) -> Compressed:
    """Re-encode a video as H.264 with fewer frames and pixels, without sound.

    Each frame of the new video is the one that the source shows at this time, so all times stay the same. The
    frame rate and size never increase. The target is written atomically.

    Args:
        source (Path): Path of the video.
        target (Path): Path of the ``.mp4`` to write. Its folder is created if needed.
        fps (float): Maximum number of frames per second.
        short_side (int): Maximum length of the shorter side in pixels.
        crf (int): Quality of x264 from 0 to 51. Lower values give better quality and larger files.

    Returns:
        Compressed: Number of frames, and sizes before and after.

    Raises:
        ValueError: If the file has no video, none of its frames can be decoded, or a frame would be shown for
            more than an hour.
        OSError: If a file cannot be read or written.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     source = Path(folder, 'source.mp4')
        ...     with av.open(str(source), 'w') as video:
        ...         stream = video.add_stream('mpeg4', rate=10)
        ...         stream.width, stream.height, stream.pix_fmt = 64, 64, 'yuv420p'
        ...         for _ in range(20):  # two seconds
        ...             video.mux(stream.encode(av.VideoFrame(64, 64, 'yuv420p')))
        ...         video.mux(stream.encode())
        ...     compress_video(source, Path(folder, 'small.mp4'), fps=3).frames
        6
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'.{target.name}.{os.getpid()}.partial')
    try:
        try:
            old, stream = open_video(str(source))
        except NoVideoError as error:
            raise ValueError(f'{source} has no video: {error}') from error
        with old, av.open(str(partial), 'w', format='mp4') as new:
            frames = _write(old, stream, new, fps, short_side, crf)
        if not frames:
            raise ValueError(f'no frame of {source} can be decoded')
        done = Compressed(frames, source.stat().st_size, partial.stat().st_size)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return done


def _write(
    old: av.container.InputContainer,
    source: av.VideoStream,
    new: av.container.OutputContainer,
    fps: float,
    short_side: int,
    crf: int,
) -> int:
    rate = Fraction(min(fps, float(source.average_rate or fps))).limit_denominator(1000)
    rate = max(rate, Fraction(1, 1000))  # a file can claim any rate
    stream, number = None, -1
    for number, frame in enumerate(map(rotate_upright, _frames_at(old, source, rate))):
        if stream is None:
            stream = new.add_stream('libx264', rate=rate)
            stream.width, stream.height = scaled_size(frame.width, frame.height, short_side)
            stream.pix_fmt, stream.options = 'yuv420p', dict(crf=str(crf))
        frame = frame.reformat(stream.width, stream.height, 'yuv420p', interpolation='BICUBIC')
        frame.pts, frame.time_base = number, 1 / rate
        new.mux(stream.encode(frame))
    if stream is not None:
        new.mux(stream.encode())
    return number + 1


def _frames_at(
    container: av.container.InputContainer, stream: av.VideoStream, rate: Fraction
) -> Iterator[av.VideoFrame]:
    """Yield the frame that is shown at 0, 1 / rate, 2 / rate ... seconds, and skip damaged packets.

    Raises:
        ValueError: If a frame is shown for too long, which indicates a damaged timestamp.
    """
    begin: float | None = None
    shown, number = None, 0
    for frame in _decode(container, stream):
        if frame.time is None:
            continue
        begin = frame.time if begin is None else begin
        if shown is not None and frame.time - shown.time > MAX_FRAME_SECONDS:
            raise ValueError(
                f'{container.name}: the frame at {shown.time:.2f} s is shown until '
                f'{frame.time:.6g} s, longer than {MAX_FRAME_SECONDS:g} s: a timestamp is damaged'
            )
        while shown is not None and number / rate < frame.time - begin - 1e-6:
            yield shown
            number += 1
        shown = frame
    if shown is not None and begin is not None and shown.time - begin >= number / rate - 1e-6:
        yield shown


def _decode(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:  # skip damaged packets, like ffmpeg
            continue


def scaled_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return even side lengths with the same aspect ratio, the shorter one at most ``short_side``."""
    scale = min(1.0, short_side / min(width, height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    return width, height


def rotate_upright(frame: av.VideoFrame) -> av.VideoFrame:
    """Rotate a frame as its metadata requires, because the new file does not keep this metadata."""
    turns = round(frame.rotation / 90)
    if not turns:
        return frame
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = np.rot90(frame.to_ndarray(format='rgb24'), turns)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
