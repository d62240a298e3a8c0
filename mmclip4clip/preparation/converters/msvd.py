from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from ...datasets.annotations import MAX_CAPTION
from .source_files import check_type, expecting_format, read_lines, read_pickle
from .split import Captions, Split


def splits(folder: Path) -> list[Split]:
    """MSVD: raw-captions.pkl, train_list.txt, val_list.txt and test_list.txt.

    Each video has all its captions.

    Examples:
        >>> [(split.name, split.videos) for split in splits(Path('MSVD'))]
        [('train', 1200), ('val', 100), ('test', 670)]
    """
    captions, read_once = folder / 'raw-captions.pkl', partial(read, load=cache(read_pickle))
    return [
        Split(name, (captions, folder / f'{name}_list.txt'), read_once, videos, sentences)
        for name, videos, sentences in (('train', 1200, 48774), ('val', 100, 4290), ('test', 670, 27763))
    ]


def read(pickled: Path, ids: Path, load: Callable = read_pickle) -> Captions:
    """Read the captions of the listed videos; each caption is a list of words."""
    captions = Captions()
    with expecting_format(pickled, '{video: [[word, ...], ...], ...}') as place:
        sentences = check_type(load(pickled), dict)
        for video in map(str.strip, read_lines(ids)):
            place.entry = video
            if not sentences.get(video):
                captions.skip(f'listed in {ids.name}, without a caption in {pickled.name}', video)
            for words in sentences.get(video, ()):
                if isinstance(words, str):  # join would split it into letters
                    raise TypeError(f'{video} has {words[:50]!r} instead of a list of words')
                if sum(map(len, words)) > MAX_CAPTION:  # before they are joined: a pickle can repeat one word
                    captions.skip('a caption that is too long', video)
                else:
                    captions.add(video, ' '.join(words))
    return captions
