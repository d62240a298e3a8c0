from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .source_files import check_type, expecting_format, read_json, read_lines, read_table
from .split import Captions, Split

FORM = '{video: {"start": [seconds, ...], "end": [seconds, ...], "text": [...]}, ...}'


def splits(source: Path, ids: Path | None = None, neighbors: int = 0) -> list[Split]:
    """Narrations of HowTo100M: raw_caption.json or caption.json, or a folder with one CSV per video.

    Each narration is a clip with its start and end in the long video.

    Args:
        source (Path): JSON file, ``{video: {"start", "end", "text"}}``, or folder of ``VIDEO.csv`` with the
            columns start, end and text.
        ids (Path, optional): Selected videos: a CSV with a column ``video_id``, such as a part of
            HowTo100M_v1.csv, or a text file with one id per line.
        neighbors (int): Number of narrations nearest in time to add to the captions of each clip, which are
            the bags of :class:`mmclip4clip.models.MILNCELoss`.

    Raises:
        ValueError: If ``neighbors`` is negative.

    Examples:
        >>> [split.name for split in splits(Path('caption.json'), neighbors=2)]
        ['train']
    """
    if neighbors < 0:
        raise ValueError(f'neighbors must not be negative, got {neighbors}')
    files = (source,) if ids is None else (source, ids)
    return [Split('train', files, partial(read, neighbors=neighbors))]


def read(source: Path, ids: Path | None = None, neighbors: int = 0) -> Captions:
    """Read the narrations with their windows.

    Raises:
        FormatError: If the numbers of starts, ends and texts of a video differ.
    """
    captions = Captions()
    wanted = None if ids is None else dict.fromkeys(read_ids(ids))
    with expecting_format(source, FORM) as place:
        for video, columns in _narrations(source, wanted):
            place.entry = video
            starts, ends, texts = (check_type(column, list) for column in columns)
            if not len(starts) == len(ends) == len(texts):
                raise ValueError(f'{video} has {len(starts)} starts, {len(ends)} ends and {len(texts)} texts')
            times = [(float(start), float(end)) for start, end in zip(starts, ends)]
            for i, (start, end) in enumerate(times):
                for text in [texts[i], *(texts[j] for j in _nearest(times, i, neighbors))]:
                    captions.add(video, text, start, end)
            if wanted is not None:
                wanted.pop(video)
    if ids is not None:
        for video in wanted or ():
            captions.skip(f'listed in {ids.name}, without narrations', video)
    return captions


def _nearest(times: list[tuple[float, float]], i: int, count: int) -> list[int]:
    """Return the narrations nearest to narration i by their middle; narrations are sorted by time."""
    near = [j for j in range(max(0, i - count), min(len(times), i + count + 1)) if j != i]
    return sorted(near, key=lambda j: abs(sum(times[j]) - sum(times[i])))[:count]


def read_ids(path: Path) -> list[str]:
    """Read the column ``video_id`` of a CSV, or one id per line."""
    lines = read_lines(path)
    if lines and 'video_id' in lines[0].split(','):
        return [row['video_id'] for _, row in read_table(path, ['video_id'])]
    return [line.strip() for line in lines]


def _narrations(source: Path, wanted: dict | None) -> Iterator[tuple[str, tuple[list, ...]]]:
    """Yield starts, ends and texts of each wanted video."""
    columns = ('start', 'end', 'text')
    if source.is_dir():
        for path in sorted(path for path in source.iterdir() if path.suffix.lower() == '.csv'):
            if wanted is None or path.stem in wanted:
                rows = [row for _, row in read_table(path, columns)]
                yield path.stem, tuple([row[c] for row in rows] for c in columns)
    else:
        for video, entry in read_json(source).items():
            if wanted is None or video in wanted:
                yield video, tuple(entry[c] for c in columns)
