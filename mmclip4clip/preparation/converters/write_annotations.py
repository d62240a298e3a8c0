import json
import os
from collections.abc import Sequence
from pathlib import Path

from ...datasets.annotations import name_fault
from .report import Report
from .split import Split
from .video_folder import VideoFolder, stem_of


def convert(
    splits: Sequence[Split],
    out: Path,
    videos: Path,
    ending: str | None = None,
    force: bool = False,
    strict: bool = False,
) -> list[Report]:
    r"""Write the JSON files of a dataset, after all of them were converted.

    The function writes ``NAME.json`` for each split whose official files exist, in mmaction2's format if
    there are no windows, and ``NAME_missing.txt`` if videos are missing. It downloads nothing.

    Args:
        splits (Sequence[Split]): Splits from a function of :data:`CONVERTERS`.
        out (Path): Output folder, created if needed.
        videos (Path): Folder of the videos.
        ending (str, optional): Suffix of all files, such as ``.mp4``, instead of a search in ``videos``.
        force (bool): Whether to replace existing files in ``out``.
        strict (bool): Whether problems in a report are errors.

    Returns:
        list[Report]: One report per split.

    Raises:
        FileNotFoundError: If no official file exists, ``videos`` does not exist, or none of the videos was
            found.
        FileExistsError: If a file exists and ``force`` is false.
        ValueError: If an official file has the wrong format, two of its videos are the same file, or there
            are problems and ``strict`` is true.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.preparation import CONVERTERS, convert
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table, out = Path(folder, 'train.csv'), Path(folder, 'annotations')
        ...     _ = table.write_text('video,caption\nvideo0,a man sings\n')
        ...     reports = convert(CONVERTERS['csv'](table), out, Path(folder), ending='.mp4')
        ...     print((out / 'train.json').read_text())
        {
        "video0.mp4": ["a man sings"]
        }
        <BLANKLINE>
    """
    reports = [Report(s, [f for f in s.sources if not f.exists()]) for s in splits]
    present = [r for r in reports if not r.absent]
    if not present:
        needed = '\n  '.join(sorted({str(f) for r in reports for f in r.absent}))
        raise FileNotFoundError(f'none of the official files exists:\n  {needed}')
    _check_targets(
        [out / f'{r.split.name}{end}' for r in present for end in ('.json', '_missing.txt')], force
    )
    folder = None if ending else VideoFolder(videos)
    for report in present:
        report.read = report.split.read(*report.split.sources)
        _locate(report, folder, ending)
    _check_found(present, videos)
    problems = [problem for r in present for problem in r.problems]
    if strict and problems:
        raise ValueError('nothing was written, because of --strict:\n  ' + '\n  '.join(problems))
    _write({path: text for r in present for path, text in _files(r, out).items()})
    return reports


def _check_targets(targets: list[Path], force: bool) -> None:
    existing = [str(path) for path in targets if path.exists()]
    if existing and not force:
        raise FileExistsError('these files exist already; --force replaces them:\n  ' + '\n  '.join(existing))


def _locate(report: Report, folder: VideoFolder | None, ending: str | None) -> None:
    """Replace official names with file names, and record names with no or several files."""
    files: dict[str, list[str]] = {}
    taken: dict[tuple, str] = {}
    for entry in report.read.entries:
        name = entry['video']
        if name not in files:
            names = (name, *report.split.aliases(name))
            files[name] = (
                [f'{stem_of(name)}{ending}']
                if folder is None
                else next(filter(None, map(folder.find, names)), [])
            )
            if not files[name]:
                report.missing.append(name)
            elif len(files[name]) > 1:
                report.several.append(files[name])
        if files[name]:
            fault = name_fault(files[name][0])
            if fault:
                raise ValueError(f'{report.split.name}: the file found for {name} {fault}; rename it')
            key = (files[name][0], entry.get('start'), entry.get('end'))
            if taken.setdefault(key, name) != name:
                raise ValueError(
                    f'{report.split.name}: {taken[key]} and {name} are different videos in '
                    f'the official files, but the same file: {key[0]}'
                )
            report.entries.append(dict(entry, video=files[name][0]))


def _check_found(reports: list[Report], videos: Path) -> None:
    empty = [r.split.name for r in reports if not r.read.entries]
    if empty:
        raise ValueError(f'the official files of {empty} contain no captions')
    if not any(r.entries for r in reports):
        missing = reports[0].missing
        raise FileNotFoundError(
            f'none of the {len(missing):,} videos of {reports[0].split.name} is in '
            f'{videos}; searched for {missing[:3]} with the suffixes of videos'
        )


def _files(report: Report, out: Path) -> dict[Path, str | None]:
    """Return the content of a split's files; None for a file of an earlier conversion to remove."""
    name = report.split.name
    if set().union(*report.entries) <= {'video', 'captions'}:
        lines = [f'{_dump(e["video"])}: {_dump(e["captions"])}' for e in report.entries]
        text = '{\n' + ',\n'.join(lines) + '\n}\n'
    else:
        text = '[\n' + ',\n'.join(map(_dump, report.entries)) + '\n]\n'
    return {
        out / f'{name}.json': text if report.entries else None,
        out / f'{name}_missing.txt': ''.join(f'{v}\n' for v in report.missing) or None,
    }


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _write(files: dict[Path, str | None]) -> None:
    """Write all files under temporary names, then rename them, so that none is incomplete after an error."""
    for path, text in files.items():
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _beside(path).write_text(text, encoding='utf-8')
    for path, text in files.items():
        if text is None:
            path.unlink(missing_ok=True)
        else:
            os.replace(_beside(path), path)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + '.partial')
