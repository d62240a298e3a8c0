"""Compare reading a window of a long video with a plain seek of PyAV.

Each window is read by DecodeVideo, the first time and again from the kept index, and by a plain seek that
decodes the same seconds and converts the same number of frames. The three are read in turns. Without a video,
videos of 1 minute, 10 minutes and 1 hour are written, so that the growth with the length can be seen.

With --overlapping, windows of each video that overlap by half are read, each alone and all together, as in a
batch of an evaluation. Packets that are decoded and frames that are converted are counted.

Example:
    python tools/analysis_tools/benchmark_window.py
    python tools/analysis_tools/benchmark_window.py --overlapping --video clips/*.mp4
    python tools/analysis_tools/benchmark_window.py --video lecture.mp4 --seconds 5
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from mmclip4clip.datasets import DecodeVideo, SampleAtRate
from mmclip4clip.datasets.first_frames import seconds_of
from mmclip4clip.datasets.video_readers.index_cache import forget_index
from mmclip4clip.datasets.video_readers.pyav_reader import PyAVReader

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
    parser.add_argument(
        '--overlapping',
        action='store_true',
        help='compare windows of each video, alone and together (default: no)',
    )
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


class CountingCodec:
    """A codec of PyAV that counts the packets it decodes."""

    def __init__(self, codec: av.CodecContext, counts: Counter) -> None:
        vars(self).update(codec=codec, counts=counts)

    def decode(self, packet: av.Packet | None) -> list:
        """Decode a packet; None is the end."""
        self.counts['packets'] += packet is not None
        return self.codec.decode(packet)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.codec, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.codec, name, value)


def count_decoding() -> Counter:
    """Count the packets and frames of all readers from now on."""
    counts, convert = Counter(), PyAVReader._convert

    def count(reader: PyAVReader, frame: av.VideoFrame) -> np.ndarray:
        counts['frames'] += 1
        return convert(reader, frame)

    PyAVReader._convert = count
    PyAVReader._codec = property(
        lambda reader: vars(reader)['codec'],
        lambda reader, codec: vars(reader).update(codec=CountingCodec(codec, counts)),
    )
    return counts


def compare_overlapping(decode: DecodeVideo, videos: list[str], seconds: float, rounds: int) -> None:
    """Print what the windows of each video cost alone and together."""
    from mmclip4clip.datasets.transforms.shared_windows import share_windows  # imports torch

    counts = count_decoding()
    totals = np.zeros((2, 3))
    for video in videos:
        with av.open(video) as container:
            length = seconds_of(container, container.streams.video[0]) or seconds
        starts = np.arange(0, max(length - seconds / 2, 1e-3), seconds / 2).tolist()
        items = [dict(filename=video, start=start, end=start + seconds) for start in starts]
        rows: list[list] = [[], []]
        for turn in range(2 * rounds):
            forget_index(video)
            counts.clear()
            with share_windows(decode, items if turn % 2 else []):
                _, cpu = measure(lambda items=items: [decode(dict(item)) for item in items])
            rows[turn % 2].append((counts['packets'], counts['frames'], cpu))
        found = np.median(rows, axis=1)
        totals += found
        print(describe_costs(f'{Path(video).name} ({len(items)})', found), flush=True)
    print(describe_costs('all', totals))


def describe_costs(name: str, found: np.ndarray) -> str:
    costs = [f'{packets:7.0f} {frames:6.0f} {cpu:8.3f}' for packets, frames, cpu in found]
    return f'{name[-32:]:32}   {costs[0]}   {costs[1]}'


def main() -> None:
    args = parse_arguments()
    decode = DecodeVideo(SampleAtRate(fps=1, max_frames=12), ['pyav'], time_limit=None)
    if args.overlapping and args.video:
        print('video (windows): packets, frames and CPU seconds, each window alone, then all together')
        compare_overlapping(decode, args.video, args.seconds, args.rounds)
        return
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
