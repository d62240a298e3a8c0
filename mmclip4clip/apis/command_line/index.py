import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.progress import track

from ...search.index import VideoIndex
from ...search.index_model import IndexedFile
from ...search.index_settings import read_settings
from ...search.index_update import UpdateReport
from ...search.segments import FixedWindows, Segmenter, Shots, WholeVideos, describe_segments
from ...search.stores import without_password
from .. import video_index
from .printing import Printer, Row

WORKERS = 2  # processes that decode ahead
SHOWN = 20  # files of a kind in a table


def run_index(args: Namespace, printer: Printer) -> int:
    """Create or update the index, and print what changed.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If there is no index and no model, the index was made by other settings, or no video can
            be read.
    """
    folder = Path(args.index or video_index.default_index())
    if args.remove:
        removed: list[str] = []
        with closing(VideoIndex.open(folder)) as index:
            try:
                for name in args.folders:
                    removed += index.remove(name)
            finally:  # also what was removed before an unknown folder
                if removed:
                    print_report(printer, UpdateReport([], [], [], removed, 0, {}))
        return 0
    missing = [name for name in args.folders if not Path(name).exists()]
    if missing:
        raise FileNotFoundError(f'these folders or files do not exist: {", ".join(missing)}')
    with closing(open_or_create(folder, args)) as index:
        if args.ray is not None:
            from ..ray_encoding import RayModel

            index.use(RayModel(index.model, args.ray, args.workers))
        workers = WORKERS if args.workers is None else args.workers
        print_report(printer, index.update(args.folders, workers, show_progress))
        if len(index) == len(index.unreadable()):
            raise ValueError(f'none of the videos in {", ".join(args.folders)} can be read')
    return 0


def open_or_create(folder: Path, args: Namespace) -> VideoIndex:
    """Open the index if its settings are those of the command line, or create it."""
    segments = choose_segments(args)
    try:
        settings = read_settings(folder)
    except FileNotFoundError as error:
        if args.model is None:
            raise ValueError(
                f'there is no index at {folder} yet: --model CHECKPOINT is needed to make one'
            ) from error
        return video_index.create_index(folder, args.model, segments, args.store)
    wanted = dict(segments=segments and describe_segments(segments), store=args.store)
    for key, value in wanted.items():
        found = getattr(settings, key)
        if value is not None and value != found:
            found, value = (without_password(x) if isinstance(x, str) else x for x in (found, value))
            raise ValueError(
                f'the index {folder} was made with {key} {found}, not {value}: make another one with '
                '--index, or leave the option out'
            )
    return video_index.open_index(folder, args.model)


def show_progress(files: Iterable[IndexedFile], count: int) -> Iterable[IndexedFile]:
    """Show a progress bar on stderr while files are encoded, if it is a terminal."""
    if not sys.stderr.isatty():
        return files
    return track(files, 'videos', total=count, console=Console(stderr=True))


def choose_segments(args: Namespace) -> Segmenter | None:
    """Return the segments that the arguments ask for; None if they do not say."""
    if args.shots:
        return Shots()
    if args.whole:
        return WholeVideos()
    return None if args.window is None else FixedWindows(args.window, args.stride)


def print_report(printer: Printer, report: UpdateReport) -> None:
    """Print each changed file, the counts, and at the end the unreadable files with their reasons.

    In JSON it is one object; in CSV the counts are left out.
    """
    if printer.form == 'json':
        printer.print_rows([Row(report._asdict(), {})])
        return
    changes = list(list_changes(report))
    unreadable = [_row('unreadable', *item) for item in report.unreadable.items()]
    if printer.form == 'csv':
        printer.print_rows([*changes, *unreadable])
        return
    counts = [f'{len(getattr(report, key))} {key}' for key in ('added', 'changed', 'moved', 'removed')]
    summary = ', '.join([*counts, f'{report.unchanged} unchanged', f'{len(unreadable)} unreadable'])
    printer.print_rows(shorten_list(changes) if printer.form == 'table' else changes)
    printer.print_line(summary)
    printer.print_rows(unreadable)


def list_changes(report: UpdateReport) -> Iterator[Row]:
    """Yield a row for each file that was added, changed, moved or removed."""
    for key in ('added', 'changed'):
        for name in getattr(report, key):
            yield _row(key, name)
    for old, new in report.moved:
        yield _row('moved', new, f'from {old}')
    for name in report.removed:
        yield _row('removed', name)


def _row(change: str, file: str, detail: str = '') -> Row:
    fields = dict(change=change, file=file, detail=detail)
    return Row(fields, fields)


def shorten_list(rows: list[Row]) -> list[Row]:
    """Leave out all but the first rows of each kind of change."""
    shown: list[Row] = []
    for change in ('added', 'changed', 'moved', 'removed'):
        same = [row for row in rows if row.fields['change'] == change]
        shown += same[:SHOWN]
        if len(same) > SHOWN:
            shown.append(_row(change, f'... and {len(same) - SHOWN} more'))
    return shown
