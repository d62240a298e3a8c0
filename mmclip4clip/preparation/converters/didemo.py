from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .source_files import Place, check_type, expecting_format, read_json, read_lines
from .split import Captions, Split
from .video_folder import stem_of

FORM = '[{"video": name, "description": text, "times": [[first, last], ...]}, ...]'
CHUNK = 5  # seconds per index in the times of annotators
PARAGRAPH_END = 31  # seconds; annotators saw 30, but the reference implementation reads 31


def splits(folder: Path, listed: bool = False) -> list[Split]:
    """DiDeMo: train_data.json, val_data.json and test_data.json.

    ``train``, ``val`` and ``test`` contain each video with all its descriptions, which form a paragraph, and
    its first 31 s. ``moments_*`` contain each description with its own window. Some videos have two names,
    ``x.mov`` and ``x.mp4``. They count as one video, which gives the published number of videos.

    Args:
        folder (Path): Folder of the official files.
        listed (bool): Whether to use only names in train_list.txt, val_list.txt and test_list.txt, the lists
            of collaborative-experts that CLIP4Clip's code reads. They contain one name per video, so
            descriptions under the other name are skipped.

    Examples:
        >>> [(split.name, split.videos) for split in splits(Path('DiDeMo'))][:3]
        [('train', 8395), ('val', 1065), ('test', 1004)]
    """
    trains, captions = (8392, {}) if listed else (8395, dict(val=4180, test=4021))
    videos, result = dict(train=trains, val=1065, test=1004), []
    for prefix, read in (('', read_paragraphs), ('moments_', read_moments)):
        for name in videos:
            sources = [folder / f'{name}_data.json'] + [folder / f'{name}_list.txt'] * listed
            result.append(Split(f'{prefix}{name}', tuple(sources), read, videos[name], captions.get(name)))
    return result


def read_paragraphs(path: Path, names: Path | None = None) -> Captions:
    """Read all descriptions of each video, in the order of the file."""
    captions = Captions()
    with expecting_format(path, FORM) as place:
        for video, item in _items(path, names, captions, place):
            captions.add(video, item['description'], 0, PARAGRAPH_END)
    return captions


def read_moments(path: Path, names: Path | None = None) -> Captions:
    """Read the descriptions of each moment of a video."""
    captions = Captions()
    with expecting_format(path, FORM) as place:
        for video, item in _items(path, names, captions, place):
            captions.add(video, item['description'], *majority_window(item['times']))
    return captions


def majority_window(times: list[list[int]]) -> tuple[int, int]:
    """Return the window that most annotators chose, the first one if there is a tie.

    An index is a chunk of 5 s: ``[1, 4]`` is from 5 s to 25 s.

    Args:
        times (list[list[int]]): First and last chunk of each annotator.

    Returns:
        tuple[int, int]: Start and end in seconds.

    Examples:
        >>> majority_window([[0, 0], [1, 4], [1, 4]])
        (5, 25)
    """
    chunks = ((check_type(first, int), check_type(last, int)) for first, last in check_type(times, list))
    (first, last), _ = Counter(chunks).most_common(1)[0]
    return CHUNK * first, CHUNK * (last + 1)


def _items(path: Path, names: Path | None, captions: Captions, place: Place) -> Iterator[tuple[str, dict]]:
    """Yield the first name of each item's video, and the item."""
    listed = set() if names is None else {name.strip() for name in read_lines(names)}
    first_name: dict[str, str] = {}
    for place.entry, item in enumerate(check_type(read_json(path), list)):
        place.entry = check_type(item['video'], str)
        if names is not None and item['video'] not in listed:
            captions.skip(f'name not in {names.name}', item['video'])
        else:
            yield first_name.setdefault(stem_of(item['video']), item['video']), item
