import math
from pathlib import Path

from .source_files import check_type, expecting_format, read_json
from .split import Captions, Split


def splits(folder: Path) -> list[Split]:
    """ActivityNet Captions: train.json and val_1.json.

    Each video has all its sentences, which form a paragraph, and a window from 0 s to its duration, rounded
    up. ``val_1`` is the test set of the paper. The prefix ``v_`` of the official names is optional in file
    names.

    Examples:
        >>> [(split.name, split.videos) for split in splits(Path('captions'))]
        [('train', 10009), ('val_1', 4917)]
    """
    return [
        Split(
            name,
            (folder / f'{name}.json',),
            read,
            videos,
            sentences,
            aliases=lambda video: (video.removeprefix('v_'),),
        )
        for name, videos, sentences in (('train', 10009, None), ('val_1', 4917, 17505))
    ]


def read(path: Path) -> Captions:
    """Read all sentences of each video, in the order of the file."""
    captions = Captions()
    with expecting_format(path, '{video: {"duration": seconds, "sentences": [...], ...}, ...}') as place:
        for place.entry, entry in read_json(path).items():
            seconds = math.ceil(check_type(entry['duration'], int, float))
            for sentence in check_type(entry['sentences'], list):
                captions.add(place.entry, sentence, 0, seconds)
    return captions
