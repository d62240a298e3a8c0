"""Compare the speed of DecodeVideo's backends and CacheFrames with mmaction2's stock pipeline, in one run.

All pipelines sample the same frames, resize the short side to 256 and crop 224 pixels. Clips that the stock
pipeline cannot read are skipped. The table shows for how many clips the outputs are equal. The cache is
filled in a warm-up round, so its speed is that from the second epoch on. Without decord, which the stock
pipeline needs, the first backends are what the others are compared with.
"""

import argparse
import json
import os
import tempfile
import time
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder of videos')
    parser.add_argument(
        '--frames',
        type=int,
        nargs='+',
        default=[12, 64],
        help='numbers of frames per clip (default: %(default)s)',
    )
    parser.add_argument(
        '--backends',
        nargs='+',
        action='append',
        metavar='BACKEND',
        help='backends of DecodeVideo; can be repeated (default: each installed one)',
    )
    parser.add_argument(
        '--time-limit',
        type=float,
        default=60,
        help='seconds per video for DecodeVideo; 0 is no limit (default: %(default)s)',
    )
    parser.add_argument('--workers', type=int, default=2, help='loader processes (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=8, help='clips per batch (default: %(default)s)')
    parser.add_argument(
        '--repeat', type=int, default=4, help='number of times each round loads a clip (default: %(default)s)'
    )
    parser.add_argument(
        '--rounds',
        type=int,
        default=5,
        help='number of rounds, whose median is printed (default: %(default)s)',
    )
    parser.add_argument(
        '--equal-only', action='store_true', help='skip clips whose outputs differ (default: off)'
    )
    parser.add_argument('--json', action='store_true', help='print all digits, as JSON (default: a table)')
    args = parser.parse_args()
    if not args.folder.is_dir():
        parser.error(f'{args.folder} is not a folder')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

import cv2
import numpy as np
import torch
from loading_contenders import Clips, make_pipelines
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from mmclip4clip.datasets.video_readers import installed_backends
from mmclip4clip.preparation.converters.video_folder import files_below, is_video


def versions(backends: list[list[str]]) -> str:
    """Name the packages that decode, with their versions, and the FFmpeg of torchcodec."""
    found = []
    for package in ('av', 'decord', 'decord2', 'eva-decord', 'opencv-python', 'torchcodec', 'torch'):
        with suppress(metadata.PackageNotFoundError):
            found.append(f'{package} {metadata.version(package)}')
    if any('torchcodec' in names for names in backends):
        found.append(f'FFmpeg {import_module("torchcodec").ffmpeg_major_version} for torchcodec')
    return ', '.join(found)


def cpu_seconds() -> float:
    """Return the CPU time of this process and all its descendants."""
    states = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = path.read_text().rpartition(')')[2].split()
        except OSError:  # the process has just ended
            continue
        states[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    below = {os.getpid()}
    for _ in states:
        more = {pid for pid, (parent, _) in states.items() if parent in below} - below
        if not more:
            break
        below |= more
    return sum(states[pid][1] for pid in below) / os.sysconf('SC_CLK_TCK')


def readable(files: list[Path], first: Clips) -> list[Path]:
    """Skip and print files that the first pipeline cannot read."""
    kept = []
    for i, file in enumerate(files):
        try:
            first[i]
            kept.append(file)
        except Exception as error:  # decord raises many types of errors
            print(f'skipped: {file}: {str(error).splitlines()[0][:100]}')
    return kept


def measure(loaders: dict[str, DataLoader], rounds: int) -> dict[str, dict]:
    """Run the loaders alternately; the first round is a warm-up."""
    seconds = {name: [] for name in loaders}
    used = {name: [] for name in loaders}
    for number in range(rounds + 1):
        for name, loader in loaders.items():
            begin, cpu = time.perf_counter(), cpu_seconds()
            for _ in loader:
                pass
            if number:
                seconds[name].append(time.perf_counter() - begin)
                used[name].append(cpu_seconds() - cpu)
    clips = {name: len(loader.dataset) for name, loader in loaders.items()}
    return {
        name: dict(
            clips_per_second=clips[name] / np.median(seconds[name]),
            cpu_ms_per_clip=1000 * np.median(used[name]) / clips[name],
        )
        for name in loaders
    }


def main(args: argparse.Namespace) -> None:
    init_default_scope('mmaction')
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    files = sorted(args.folder / name for name in files_below(args.folder) if is_video(name))
    if not files:
        raise SystemExit(f'there are no videos in {args.folder}')
    backends = args.backends or [[name] for name in installed_backends()]
    figures = {}
    for frames in args.frames:
        with tempfile.TemporaryDirectory() as cache:
            figures[frames] = compare(
                files,
                make_pipelines(frames, backends, args.time_limit or None, cache),
                args,
            )
    print(
        json.dumps(figures)
        if args.json
        else f'{args.workers} workers, {os.cpu_count()} cores, load '
        f'{os.getloadavg()[0]:.1f}, batches of {args.batch_size}, {args.rounds} rounds\n{versions(backends)}'
    )
    if args.json:
        return
    for frames, rows in figures.items():
        table = Table(
            '',
            'clips/s',
            'speed-up',
            'CPU ms per clip',
            'CPU reduction',
            'same output',
            title=f'{frames} frames',
        )
        for name, v in rows.items():
            table.add_row(
                name,
                f'{v["clips_per_second"]:.1f}',
                f'{v["times_the_speed"]:.2f}',
                f'{v["cpu_ms_per_clip"]:.1f}',
                f'{v["times_less_cpu"]:.2f}',
                f'{v["same_output"]} of {v["clips"]}',
            )
        Console().print(table)


def compare(files: list[Path], pipelines: dict[str, list[dict]], args: argparse.Namespace) -> dict[str, dict]:
    """Measure all pipelines on the files that the first pipeline can read."""
    first, *_ = pipelines
    files = readable(files, Clips(files, pipelines[first]))
    if not files:
        raise SystemExit(f'the {first} pipeline reads none of the videos in {args.folder}')
    stock = Clips(files, pipelines[first])
    equal = {
        name: [torch.equal(stock[i], Clips(files, pipeline)[i]) for i in range(len(files))]
        for name, pipeline in pipelines.items()
    }
    if args.equal_only:
        keep = [all(row) for row in zip(*equal.values())]
        files = [file for file, kept in zip(files, keep) if kept]
        equal = {name: [True] * len(files) for name in equal}
    same = {name: sum(row) for name, row in equal.items()}
    figures = measure(
        {
            name: DataLoader(
                Clips(files, pipeline, args.repeat),
                args.batch_size,
                num_workers=args.workers,
                persistent_workers=True,
                collate_fn=pseudo_collate,
            )
            for name, pipeline in pipelines.items()
        },
        args.rounds,
    )
    cpu = figures[first]['cpu_ms_per_clip']
    for name, values in figures.items():
        values.update(
            same_output=same[name],
            clips=len(files),
            times_the_speed=values['clips_per_second'] / figures[first]['clips_per_second'],
            times_less_cpu=cpu / max(values['cpu_ms_per_clip'], 1e-3),
        )  # the clock ticks slowly
    return figures


if __name__ == '__main__':
    main(args)
