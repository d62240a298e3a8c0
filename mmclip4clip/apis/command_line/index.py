from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ...search.segments import FixedWindows, Shots, WholeVideos, describe_segments
from .index_location import find_index, has_index
from .printing import Printer, Row

if TYPE_CHECKING:
    from ...search.index import UpdateReport, VideoIndex

SHOWN = 20  # files of a kind in a table


def run_index(args: Namespace, printer: Printer) -> int:
    """Create or update the index, and print what changed.

    Raises:
        FileNotFoundError: If a folder does not exist.
        ValueError: If there is no index and no model, or the index was made by other settings.
    """
    missing = [folder for folder in args.folders if not Path(folder).exists()]
    if missing:
        raise FileNotFoundError(f'these folders do not exist: {", ".join(missing)}')
    with closing(open_index(args)) as index:
        report = index.update(args.folders, num_workers=args.workers)
        print_report(printer, report)
        if not len(index) and not report.removed:
            raise ValueError(f'no video in {", ".join(args.folders)} can be searched')
    return 0


def open_index(args: Namespace) -> 'VideoIndex':
    """Open the index with the settings of the command line, or create it."""
    path, segmenter = find_index(args.index), choose_segments(args)
    if args.model is None and not has_index(path):
        raise ValueError(f'there is no index at {path} yet: --model CHECKPOINT is needed to make one')
    from ...search.index import VideoIndex

    if not has_index(path):
        return VideoIndex.create(path, args.model, segmenter or FixedWindows(), args.store)
    index = VideoIndex.open(path, args.model)
    wanted = dict(segments=segmenter and describe_segments(segmenter), store=args.store)
    for key, value in wanted.items():
        found = getattr(index.settings, key)
        if value is not None and value != found:
            index.close()
            raise ValueError(
                f'the index {path} was made with {key} {found}, not {value}: make another one with --index, '
                'or leave the option out'
            )
    return index


def choose_segments(args: Namespace) -> FixedWindows | Shots | WholeVideos | None:
    """Return the segments that the arguments ask for; None if they do not say."""
    if args.shots:
        return Shots()
    if args.whole:
        return WholeVideos()
    return None if args.window is None else FixedWindows(args.window, args.stride)


def print_report(printer: Printer, report: 'UpdateReport') -> None:
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


def list_changes(report: 'UpdateReport') -> Iterator[Row]:
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
