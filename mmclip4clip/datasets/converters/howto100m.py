from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from .captions import Captions, Split
from .reading import of_form, read_json, read_lines, read_table

FORM = '{video: {"start": [seconds, ...], "end": [seconds, ...], "text": [...]}, ...}'


def splits(source: Path, ids: Optional[Path] = None) -> List[Split]:
    """Narrations as of HowTo100M: raw_caption.json or caption.json, or a folder with a CSV a video.

    Every narration with its start and end inside the long video.

    Args:
        source (Path): The JSON file, ``{video: {"start", "end", "text"}}``, or the
            folder of ``VIDEO.csv`` with the columns start, end and text.
        ids (Path, optional): Take only these videos: a CSV with a column
            ``video_id``, such as a part of HowTo100M_v1.csv, or one id a line.
    """
    return [Split('train', (source, ) if ids is None else (source, ids), read)]


def read(source: Path, ids: Optional[Path] = None) -> Captions:
    """Gather the narrations, each with its window.

    Raises:
        FormError: If starts, ends and texts of a video are not equally many.
    """
    captions = Captions()
    wanted = None if ids is None else dict.fromkeys(read_ids(ids))
    with of_form(source, FORM):
        for video, (starts, ends, texts) in _narrations(source, wanted):
            if not len(starts) == len(ends) == len(texts):
                raise ValueError(f'{video} has {len(starts)} starts, {len(ends)} ends and '
                                 f'{len(texts)} texts')
            for start, end, text in zip(starts, ends, texts):
                captions.add(video, text, float(start), float(end))
            if wanted is not None:
                wanted.pop(video)
    for video in wanted or ():
        captions.skip(f'listed in {ids.name}, without narrations', video)
    return captions


def read_ids(path: Path) -> List[str]:
    """Read the column ``video_id`` of a CSV, or one id a line."""
    lines = read_lines(path)
    if lines and 'video_id' in lines[0].split(','):
        return [row['video_id'] for _, row in read_table(path, ['video_id'])]
    return [line.strip() for line in lines]


def _narrations(source: Path, wanted: Optional[dict]) -> Iterator[Tuple[str, Tuple[list, list, list]]]:
    """Yield starts, ends and texts of each wanted video."""
    columns = ('start', 'end', 'text')
    if source.is_dir():
        for path in sorted(source.glob('*.csv')):
            if wanted is None or path.stem in wanted:
                rows = [row for _, row in read_table(path, columns)]
                yield path.stem, tuple([row[c] for row in rows] for c in columns)
    else:
        for video, entry in read_json(source).items():
            if wanted is None or video in wanted:
                yield video, tuple(entry[c] for c in columns)
