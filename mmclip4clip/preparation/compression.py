"""Make videos small, as CLIP4Clip's data preparation does: few frames a second, few pixels."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from ..datasets.video_readers import NoVideoError
from ..datasets.video_readers.packet_index import open_video

MAX_FRAME_SECONDS = 3600.0  # seconds of one picture; beyond, a time stamp is damaged more likely than not


class Compressed(NamedTuple):
    """What became of a video.

    Args:
        frames (int): Frames written.
        before (int): Bytes of the source.
        after (int): Bytes of what was written.
    """

    frames: int
    before: int
    after: int


def compress_video(
    source: Path, target: Path, fps: float = 3.0, short_side: int = 224, crf: int = 23
) -> Compressed:
    """Write a video again as H.264, with fewer frames and pixels and without sound.

    A frame of the new video is the one that the old one shows at that second, so
    that times stay as they are. A video is never made faster or larger. The
    target is there whole or not at all.

    Args:
        source (Path): The video.
        target (Path): An ``.mp4`` to write; its folder is made if needed.
        fps (float): The most frames a second.
        short_side (int): The most pixels of the shorter side.
        crf (int): Quality of x264, 0 to 51; less is better and larger.

    Returns:
        Compressed: Frames and bytes.

    Raises:
        ValueError: If the file has no video, none of its frames decodes, or one of them is to
            be shown for more than an hour.
        OSError: If a file cannot be read or written.
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
            raise ValueError(f'no frame of {source} decodes')
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
    """Yield the frame that is shown at 0, 1 / rate, 2 / rate ... seconds, past damaged packets.

    Raises:
        ValueError: If one is shown for longer than can be meant.
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
                f'{frame.time:.6g} s, longer than {MAX_FRAME_SECONDS:g} s: a time stamp is damaged'
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
        except av.error.InvalidDataError:  # a damaged packet is left out, as ffmpeg does
            continue


def scaled_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return even sides of the same shape, the shorter one at most ``short_side``."""
    scale = min(1.0, short_side / min(width, height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    return width, height


def rotate_upright(frame: av.VideoFrame) -> av.VideoFrame:
    """Turn a frame of a camera that was held on its side, since its mark does not reach the new file."""
    turns = round(frame.rotation / 90)
    if not turns:
        return frame
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = np.rot90(frame.to_ndarray(format='rgb24'), turns)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
