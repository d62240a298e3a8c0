"""Compress all videos of a folder for faster decoding: 3 frames per second, 224 pixels on the shorter side.

Existing files are skipped, so an interrupted run can be continued.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('source', type=Path, help='folder of the videos, including subfolders')
    parser.add_argument('target', type=Path, help='output folder; names stay the same, with the suffix .mp4')
    parser.add_argument(
        '--fps', type=float, default=3.0, help='maximum number of frames per second (default: %(default)s)'
    )
    parser.add_argument(
        '--short-side',
        type=int,
        default=224,
        help='maximum pixels of the shorter side (default: %(default)s)',
    )
    parser.add_argument(
        '--crf',
        type=int,
        default=23,
        help='quality of x264; lower is better and larger (default: %(default)s)',
    )
    parser.add_argument(
        '--suffixes',
        nargs='+',
        help='suffixes of videos, in upper or lower case (default: .mp4 .avi .mkv .webm .mov and the rarer '
        'ones of mmclip4clip.datasets.video_names.ENDINGS)',
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='number of processes (default: %(default)s)'
    )
    args = parser.parse_args()
    if not args.source.is_dir():
        parser.error(f'{args.source} is not a folder')
    if args.fps <= 0 or args.short_side < 2:
        parser.error(f'--fps must be positive and --short-side at least 2, got {args.fps}, {args.short_side}')
    if args.workers < 1:
        parser.error(f'--workers must be at least 1, got {args.workers}')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from rich.console import Console
from rich.progress import track

from mmclip4clip.preparation.compression import compress_video
from mmclip4clip.preparation.converters.video_folder import ENDINGS, files_below, is_video


def plan(args: argparse.Namespace) -> dict:
    """Return the target of each video by its source; exit if two videos have the same target."""
    targets, inside = {}, args.target.absolute()
    for source in sorted(args.source / name for name in files_below(args.source)):
        if is_video(source.name, args.suffixes or ENDINGS) and inside not in source.absolute().parents:
            target = (args.target / source.relative_to(args.source)).with_suffix('.mp4')
            if target in targets.values():
                raise SystemExit(f'error: {source} and another video would both become {target}')
            targets[source] = target
    if not targets:
        raise SystemExit(
            f'error: no video in {args.source}; searched for {" ".join(args.suffixes or ENDINGS)}'
        )
    return targets


def main(args: argparse.Namespace) -> None:
    targets = plan(args)
    todo = {source: target for source, target in targets.items() if not target.exists()}
    start, done, failed = time.perf_counter(), [], []
    with ProcessPoolExecutor(args.workers) as pool:
        jobs = {
            pool.submit(compress_video, source, target, args.fps, args.short_side, args.crf): source
            for source, target in todo.items()
        }
        for job in track(as_completed(jobs), 'compressing', len(jobs), console=Console(stderr=True)):
            try:
                done.append(job.result())
            except Exception as error:  # decoders raise many types of errors; each is listed
                failed.append(f'{jobs[job]}: {error}')
    seconds = time.perf_counter() - start
    before, after = (sum(getattr(d, key) for d in done) / 2**20 for key in ('before', 'after'))
    print(f'{len(done)} compressed, {len(targets) - len(todo)} existed already, {len(failed)} failed')
    if done:
        print(
            f'{before:.1f} MiB became {after:.1f} MiB, {100 * (1 - after / before):.0f} % less, in '
            f'{seconds:.1f} s'
        )
    if failed:
        listed = args.target / 'failed.txt'
        args.target.mkdir(parents=True, exist_ok=True)
        listed.write_text('\n'.join(sorted(failed)) + '\n')
        raise SystemExit(f'error: {len(failed)} videos could not be compressed, see {listed}')


if __name__ == '__main__':
    main(args)
