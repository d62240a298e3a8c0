"""Video files of many kinds for the tests, and how to decode them independently."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

TICK = Fraction(1, 60000)
needs_tables = pytest.mark.skipif(
    not hasattr(av.VideoStream, 'index_entries'), reason='PyAV shows the list of FFmpeg from version 17 on'
)


def write_frames(
    path: Path,
    seconds: Sequence[float],
    gop: int = 10,
    b_frames: int = 2,
    codec: str = 'libx264',
    pixels: str = 'yuv420p',
    height: int = 48,
    **options,
) -> Path:
    """Write moving noise, a frame at each of these seconds, no two of them alike."""
    tick = Fraction(1, 30) if path.suffix == '.avi' else TICK  # AVI counts frames only
    rng = np.random.default_rng(len(seconds))
    scene = rng.integers(0, 256, (height, 400, 3)).astype(np.uint8)
    with av.open(str(path), 'w', options=options) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, height, pixels
        stream.codec_context.time_base = tick
        stream.options = dict(g=str(gop), bf=str(b_frames), keyint_min=str(gop))
        for number, second in enumerate(seconds):
            left = (3 * number) % 336
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(scene[:, left : left + 64]))
            frame.pts, frame.time_base = round(second / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def at_rate(fps: float, count: int) -> np.ndarray:
    return np.arange(count) / fps


def decode_in_order(path) -> list[np.ndarray]:
    """Decode frame by frame from the first one on, past damage: the measure for all else."""
    frames = []
    with av.open(str(path)) as container, suppress(av.error.InvalidDataError):
        for packet in container.demux(video=0):
            with suppress(av.error.InvalidDataError):
                frames += [frame.to_ndarray(format='rgb24') for frame in packet.decode()]
    return frames


def digest(frame: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(frame)).hexdigest() + str(frame.shape)


def cut(source: Path, path: Path, share: float) -> Path:
    """Copy the first part of a file only."""
    content = source.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def damage(source: Path, path: Path, packets: Sequence[int]) -> Path:
    """Copy a video with zeros in place of some of its packets."""
    content = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        stored = [packet for packet in container.demux(video=0) if packet.size]
    for packet in (stored[i] for i in packets):
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    return path


def turn(source: Path, path: Path) -> Path:
    """Copy an MP4 file and mark it as taken with the camera turned by 90 degrees."""
    content = bytearray(source.read_bytes())
    place = content.find(b'tkhd') + 4 + 40  # the matrix of a version 0 box
    matrix = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], '>i4').tobytes()
    content[place : place + len(matrix)] = matrix
    path.write_bytes(content)
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('aac', rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return path


def write_picture(path: Path) -> Path:
    path.write_bytes(cv2.imencode('.png', np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    return path


def write_no_frames(path: Path) -> Path:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        container.start_encoding()
    return path


def write_streams(path: Path, *streams: dict) -> Path:
    """Write streams that play at once; each a brightness and ``frames`` of it, ``sound``, or a ``cover``."""
    with av.open(str(path), 'w') as container:
        parts = []
        for kind in streams:
            if kind.get('sound'):
                codec = 'flac' if path.suffix == '.flac' else 'libmp3lame' if path.suffix == '.mp3' else 'aac'
                parts.append((container.add_stream(codec, rate=16000), kind))
                continue
            stream = container.add_stream('mjpeg' if kind.get('cover') else 'libx264', rate=10)
            stream.width, stream.height = kind.get('size', (64, 48))
            stream.pix_fmt = 'yuvj420p' if stream.codec_context.name == 'mjpeg' else 'yuv420p'
            if kind.get('cover'):
                stream.disposition = av.stream.Disposition.attached_pic.value
            parts.append((stream, kind))
        for stream, kind in parts:
            for number in range(kind.get('frames', 1)):
                if kind.get('sound'):
                    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
                    frame.sample_rate, frame.pts = 16000, 1024 * number
                else:
                    frame = av.VideoFrame.from_ndarray(
                        np.full((stream.height, stream.width, 3), kind['light'] + number, np.uint8)
                    )
                    frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path
