"""Check all videos of a folder: decode sampled frames of each, and report problems."""

import argparse
import json
import os
import sys
from contextlib import suppress
from functools import cache, partial
from multiprocessing import Pool
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='folder of the videos, including subfolders')
    parser.add_argument(
        'report',
        type=Path,
        help='JSON file to write; the results of each video are also saved to a .jsonl file '
        'of the same name, from which an interrupted check continues',
    )
    parser.add_argument(
        '--suffixes',
        nargs='+',
        help='suffixes of videos, in upper or lower case (default: .mp4 .avi .mkv .webm .mov and the rarer '
        'ones of mmclip4clip.datasets.video_names.ENDINGS)',
    )
    parser.add_argument(
        '--samples', type=int, default=12, help='number of frames to decode per video (default: %(default)s)'
    )
    parser.add_argument(
        '--min-frames', type=int, default=2, help='videos with fewer frames are short (default: %(default)s)'
    )
    parser.add_argument(
        '--min-seconds',
        type=float,
        default=1.0,
        help='videos with fewer seconds are short (default: %(default)s)',
    )
    parser.add_argument(
        '--backends',
        nargs='+',
        default=['pyav', 'decord', 'opencv'],
        help='libraries to decode with, in the order in which they are tried (default: %(default)s)',
    )
    parser.add_argument(
        '--time-limit',
        type=float,
        default=60,
        help='maximum number of seconds per video (default: %(default)s)',
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='number of processes (default: %(default)s)'
    )
    args = parser.parse_args()
    if args.report.suffix.lower() != '.json':
        parser.error(f'the report must be a .json file, got {args.report}')
    if args.workers < 1:
        parser.error(f'--workers must be at least 1, got {args.workers}')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmclip4clip.datasets import DecodeVideo, SampleEvenly
from mmclip4clip.preparation.converters.video_folder import ENDINGS, files_below, is_video
from mmclip4clip.preparation.video_check import check_video, summarize


def file_state(path: Path, settings: dict) -> dict:
    """Return size, time and settings, which must be unchanged for an earlier result to be valid."""
    state = path.stat() if path.exists() else path.lstat()
    return dict(size=state.st_size, modified=state.st_mtime_ns, settings=settings)


@cache
def decoder(samples: int, backends: tuple, time_limit: float) -> DecodeVideo:
    """Build the decoder of this process."""
    return DecodeVideo(SampleEvenly(samples), backends, time_limit)


def check_decoder(args: argparse.Namespace) -> None:
    """Exit with the code of a usage error if the arguments give no decoder, before the workers start."""
    try:
        decoder(args.samples, tuple(args.backends), args.time_limit)
    except (ValueError, ImportError) as error:
        print(f'check.py: error: {error}', file=sys.stderr)
        raise SystemExit(2) from error


def check(name: str, folder: Path, settings: dict) -> dict:
    """Check one video in a worker."""
    decode = decoder(settings['samples'], tuple(settings['backends']), settings['time_limit'])
    found = check_video(folder / name, decode, settings['min_frames'], settings['min_seconds'])
    return dict(path=name, **file_state(folder / name, settings), **found)


def read_findings(path: Path) -> dict[str, dict]:
    """Read earlier results, and skip a truncated last line."""
    findings = {}
    for line in path.read_text(errors='replace').splitlines() if path.exists() else []:
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            record = json.loads(line)
            findings[record['path']] = record
    return findings


def refuse_other_files(args: argparse.Namespace, log: Path) -> None:
    """Exit if a file would be replaced that is not a result of checking this folder."""
    with suppress(FileNotFoundError, ValueError, RecursionError):
        report = json.loads(args.report.read_text() or '{}')
        if isinstance(report, dict) and report.get('folder') == str(args.folder):
            return
    if args.report.exists():
        raise SystemExit(f'{args.report} exists and is not a report on {args.folder}: use another name')
    if log.exists() and log.stat().st_size and not read_findings(log):
        raise SystemExit(f'{log} exists and contains no results of a check: use another name for the report')


def check_all(names: list[str], args: argparse.Namespace) -> list[dict]:
    """Check the videos without an earlier result, and return the results of all videos."""
    settings = {
        key: getattr(args, key) for key in ('samples', 'min_frames', 'min_seconds', 'backends', 'time_limit')
    }
    log = args.report.with_suffix('.jsonl')
    wanted = set(names)
    known = {
        name: record
        for name, record in read_findings(log).items()
        if name in wanted
        and file_state(args.folder / name, settings).items() <= record.items()
        and 'unavailable' not in record['problems']
    }
    if known:
        print(f'{len(known)} of {len(names)} videos were checked before')
    left = [name for name in names if name not in known]
    log.parent.mkdir(parents=True, exist_ok=True)
    partly = log.with_suffix('.jsonl.tmp')
    partly.write_text(''.join(json.dumps(record) + '\n' for record in known.values()))
    os.replace(partly, log)
    with log.open('a') as file, Pool(args.workers) as pool:
        checked = pool.imap_unordered(partial(check, folder=args.folder, settings=settings), left)
        for record in track(checked, total=len(left), description='checking'):
            known[record['path']] = record
            file.write(json.dumps(record) + '\n')
            file.flush()
    return [known[name] for name in names]


def main(args: argparse.Namespace) -> None:
    if not args.folder.is_dir():
        raise SystemExit(f'{args.folder} is not a folder')
    check_decoder(args)
    args.suffixes = args.suffixes or ENDINGS
    refuse_other_files(args, args.report.with_suffix('.jsonl'))
    names = sorted(name for name in files_below(args.folder) if is_video(name, args.suffixes))
    if not names:
        raise SystemExit(f'there are no videos in {args.folder}: no name ends with {" ".join(args.suffixes)}')
    problems = summarize(check_all(names, args))
    args.report.write_text(
        json.dumps(dict(folder=str(args.folder), videos=len(names), **problems), indent=1) + '\n'
    )
    table = Table('', 'videos', 'the first ones')
    for kind, found in problems.items():
        table.add_row(
            kind, str(len(found)), '\n'.join(f'{path}: {text}'[:160] for path, text in [*found.items()][:3])
        )
    Console().print(table)
    bad = set().union(*problems.values())
    print(f'{len(names) - len(bad)} of {len(names)} videos have no problems; the others are in {args.report}')


if __name__ == '__main__':
    main(args)
