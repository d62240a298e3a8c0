import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .split import Captions, Split, count_entries


@dataclass
class Report:
    """Result of converting one split.

    Attributes:
        split (Split): The split.
        absent (list[Path]): Official files that do not exist. Then the split is not converted.
        read (Captions): Captions of the official files.
        entries (list[dict]): Written entries, whose videos were found.
        missing (list[str]): Official names of the videos that were not found.
        several (list[list[str]]): Files of each video that has several; the first one is used.

    Examples:
        >>> from pathlib import Path
        >>> from mmclip4clip.preparation.converters import Captions, Report, Split
        >>> captions = Captions()
        >>> captions.add('v0', 'a man sings')
        >>> Report(Split('test', (), None, videos=2), absent=[], read=captions).problems
        ['test: 2 videos are expected, but the official files have 1']
    """

    split: Split
    absent: list[Path]
    read: Captions = field(default_factory=Captions)
    entries: list[dict] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    several: list[list[str]] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Descriptions of all differences from the published split."""
        found, problems = count_entries(self.read.entries), []
        expected = (self.split.videos, self.split.captions)
        for what, came, wanted in zip(('videos', 'captions'), found, expected):
            if not self.absent and wanted not in (None, came):
                problems.append(
                    f'{self.split.name}: {wanted:,} {what} are expected, but the official files have {came:,}'
                )
        if self.missing:
            problems.append(
                f'{self.split.name}: {len(self.missing):,} of {found[0]:,} videos were not '
                f'found, such as {self.missing[0]}; without them, results are not '
                'comparable with published ones'
            )
        return problems


def format_reports(reports: Sequence[Report]) -> str:
    """Format a table of found and expected counts, followed by all skipped videos and captions.

    Examples:
        >>> from mmclip4clip.preparation.converters import Split, format_reports
        >>> report = Report(Split('test', (Path('a.json'),), None), absent=[Path('a.json')])
        >>> print(format_reports([report]).splitlines()[-1])
        test: not converted, because a.json does not exist
    """
    table = Table('', 'annotated: videos / captions', 'expected', 'written', 'missing')
    for column in table.columns[1:]:
        column.justify = 'right'
    for report in reports:
        split = report.split
        if not report.absent:
            annotated, expected = (
                count_entries(report.read.entries),
                (split.videos, split.captions),
            )
            table.add_row(
                split.name,
                _pair(annotated),
                _pair(expected),
                _pair(count_entries(report.entries)),
                f'{len(report.missing):,}',
            )
    drawn = io.StringIO()
    Console(width=100, file=drawn).print(table)
    lines = [drawn.getvalue().rstrip()]
    for report in reports:
        lines += [f'{report.split.name}: {note}' for note in _notes(report)]
    lines += [f'WARNING: {problem}' for report in reports for problem in report.problems]
    return '\n'.join(lines)


def _pair(counts: tuple[int | None, int | None]) -> str:
    return ' / '.join('?' if n is None else f'{n:,}' for n in counts)


def _notes(report: Report) -> list[str]:
    notes = [f'not converted, because {path} does not exist' for path in report.absent]
    for reason, what in report.read.skipped.items():
        notes.append(f'{len(what):,} skipped, {reason}: {_some(what)}')
    if report.missing:
        notes.append(f'the videos that were not found are listed in {report.split.name}_missing.txt')
    if report.several:
        notes.append(
            f'{len(report.several):,} videos have several files; used '
            + _some([f'{files[0]} instead of {files[1]}' for files in report.several])
        )
    return notes


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
