"""Convert custom datasets: a table of captions, or a folder with a text file for each video."""

from pathlib import Path

from ...safe_json import shorten
from .source_files import expecting_format, read_lines, read_table
from .split import Captions, Split
from .video_folder import VideoFolder, files_below, stem_of

TEXT = '.txt'  # or .TXT
COLUMNS = ('video', 'caption', 'start', 'end', 'group')


def table_splits(table: Path) -> list[Split]:
    """A CSV or TSV with the columns video and caption, and optionally start, end and group.

    Each row is a caption, and a video can have several. Start and end are in seconds. The JSON is named after
    the table.

    Examples:
        >>> [split.name for split in table_splits(Path('captions.csv'))]
        ['captions']
    """
    return [Split(table.stem, (table,), read_captions)]


def folder_splits(folder: Path, name: str = 'all') -> list[Split]:
    """A folder of videos with a text file for each, such as x.txt for x.mp4, with one caption per line.

    Args:
        folder (Path): Folder, searched with all subfolders.
        name (str): Name of the JSON.

    Examples:
        >>> [split.name for split in folder_splits(Path('videos'), name='train')]
        ['train']
    """
    return [Split(name, (folder,), read_texts)]


def read_captions(table: Path) -> Captions:
    """Read one caption per row.

    Raises:
        FormatError: If a start or end is not a number, or a video is in two groups.
    """
    captions, columns = Captions(), {}
    with expecting_format(table, f'{", ".join(COLUMNS)}, the last three optional') as place:
        for line, row in read_table(table, COLUMNS[:2]):
            columns.update(row)
            place.entry = f'line {line}'
            if (row['video'] or '').strip():
                start, end = (_seconds(row, column, line) for column in ('start', 'end'))
                group = (row.get('group') or '').strip() or None
                captions.add(row['video'].strip(), row['caption'], start, end, group)
            else:
                captions.skip('no name of a video', f'line {line}')
    for column in sorted(set(columns) - set(COLUMNS)):
        captions.skip('an unknown column', column)
    return captions


def _seconds(row: dict, column: str, line: int) -> float | None:
    text = (row.get(column) or '').strip()
    try:
        if '_' in text:  # float would accept 1_0 as 10
            raise ValueError
        return float(text) if text else None
    except ValueError:
        raise ValueError(
            f'line {line}: {column} must be seconds, such as 12.5, got {shorten(text)}'
        ) from None


def read_texts(folder: Path) -> Captions:
    """Read the lines of each text file, and record videos without a text file."""
    captions, stems = Captions(), set()
    for path in sorted(path for path in files_below(folder) if path.lower().endswith(TEXT)):
        video, lines = path[: -len(TEXT)], read_lines(folder / path)
        stems.add(stem_of(video))
        if not lines:
            captions.skip('an empty text file', path)
        for line in lines:
            captions.add(video, line)
    for video in VideoFolder(folder).videos:
        if stem_of(video) not in stems:
            captions.skip('a video without a text file', video)
    return captions
