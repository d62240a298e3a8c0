"""Compare reading a window of a long video with a plain seek of PyAV.

Each window is read by DecodeVideo, the first time and again from the kept index, and by a plain seek that
decodes the same seconds and converts the same number of frames. The three are read in turns. Without a video,
videos of 1 minute, 10 minutes and 1 hour are written, so that the growth with the length can be seen.

Example:
    python tools/analysis_tools/benchmark_window.py
    python tools/analysis_tools/benchmark_window.py --video lecture.mp4 --seconds 5
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from mmclip4clip.datasets import DecodeVideo, SampleAtRate
from mmclip4clip.datasets.first_frames import seconds_of
from mmclip4clip.datasets.video_readers.index_cache import forget_index

MINUTES = (1, 10, 60)
FPS = 25
PERIOD = 20  # seconds of the short video that is repeated


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--video', nargs='+', help='video files (default: write videos of three lengths)')
    parser.add_argument('--seconds', type=float, default=5, help='length of a window (default: 5)')
    parser.add_argument(
        '--rounds', type=int, default=3, help='rounds, of which the median counts (default: 3)'
    )
    parser.add_argument('--ending', default='mp4', help='container of the written videos (default: mp4)')
    return parser.parse_args()


def write_long_video(path: Path, minutes: int) -> Path:
    """Write a video by repeating the packets of a short one, with a key frame every 10 seconds."""
    rng = np.random.default_rng(0)
    short = path.with_name('short.mp4')
    with av.open(str(short), 'w') as container:
        video = container.add_stream('libx264', rate=FPS, options=dict(preset='veryfast', g='250'))
        video.width, video.height, video.pix_fmt = 320, 240, 'yuv420p'
        for _ in range(FPS * PERIOD):
            blocks = rng.integers(0, 256, (15, 20, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
            container.mux(video.encode(av.VideoFrame.from_ndarray(blocks)))
        container.mux(video.encode())
    with av.open(str(short)) as source, av.open(str(path), 'w') as target:
        stream = source.streams.video[0]
        added = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        for turn in range(minutes * 60 // PERIOD):
            shift = round(turn * PERIOD / stream.time_base)
            for stored in packets:
                packet = av.Packet(bytes(stored))
                packet.stream, packet.time_base = added, stream.time_base
                packet.pts, packet.dts = stored.pts + shift, stored.dts + shift
                packet.is_keyframe = stored.is_keyframe
                target.mux(packet)
    return path


def seek(filename: str, start: float, seconds: float) -> int:
    """Read a window with PyAV alone: seek, decode, and convert a frame per second."""
    count, due = 0, start
    with av.open(filename) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(int(start / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.time >= start + seconds:
                break
            if frame.time >= due:
                frame.to_ndarray(format='rgb24')
                count, due = count + 1, due + 1
    return count


def measure(function: Callable[[], object]) -> tuple[float, float]:
    """Return the wall-clock and CPU seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure_window(decode: DecodeVideo, video: str, start: float, seconds: float, rounds: int) -> str:
    """Read a window in turns in three ways, and describe the median times of each."""
    window = dict(filename=video, start=start, end=start + seconds)
    ways: list[Callable[[], object]] = [
        lambda: seek(video, start, seconds),
        lambda: decode(dict(window)),
        lambda: decode(dict(window)),
    ]
    times = []
    for _ in range(rounds):
        forget_index(video)
        times.append([measure(way) for way in ways])
    return '   '.join(f'{wall:6.3f} / {cpu:5.3f}' for wall, cpu in np.median(times, axis=0))


def main() -> None:
    args = parse_arguments()
    decode = DecodeVideo(SampleAtRate(fps=1, max_frames=12), ['pyav'], time_limit=None)
    with tempfile.TemporaryDirectory() as folder:
        videos = args.video or [
            str(write_long_video(Path(folder, f'{minutes}min.{args.ending}'), minutes)) for minutes in MINUTES
        ]
        print('wall-clock / CPU seconds of a plain seek, the first window, and another one of the same file')
        for video in videos:
            with av.open(video) as container:
                length = seconds_of(container, container.streams.video[0]) or args.seconds
            for share in (0.01, 0.5, 0.99):
                start = max(0, share * (length - args.seconds))
                times = measure_window(decode, video, start, args.seconds, args.rounds)
                print(f'{Path(video).name:16} {start:8.1f} s   {times}', flush=True)


if __name__ == '__main__':
    main()
