from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

from .source_files import Place, check_type, expecting_format, read_json, read_table
from .split import Captions, Split

FORM = '{"videos": [{"video_id", "split", ...}, ...], "sentences": [{"video_id", "caption", ...}, ...]}'


def splits(folder: Path) -> list[Split]:
    """MSR-VTT: MSRVTT_data.json, MSRVTT_train.9k.csv and .7k.csv, MSRVTT_JSFUSION_test.csv.

    ``train_9k`` and ``train_7k`` are used with the 1k-A test ``test_JSFUSION``, which has one caption per
    video. ``caption_*`` is the split of the publisher. Each video has 20 captions (arXiv:2102.06448).

    Examples:
        >>> [split.name for split in splits(Path('MSRVTT'))][:3]
        ['train_9k', 'train_7k', 'test_JSFUSION']
    """
    data, load = folder / 'MSRVTT_data.json', cache(read_json)
    trains = (('9k', 9000), ('7k', 7010))
    published = (('train', 'train', 6513), ('val', 'validate', 497), ('test', 'test', 2990))
    return [
        *(
            Split(
                f'train_{size}',
                (data, folder / f'MSRVTT_train.{size}.csv'),
                partial(read_listed, load=load),
                n,
                20 * n,
            )
            for size, n in trains
        ),
        Split('test_JSFUSION', (folder / 'MSRVTT_JSFUSION_test.csv',), read_pairs, 1000, 1000),
        *(
            Split(f'caption_{name}', (data,), partial(read_published, split=word, load=load), n, 20 * n)
            for name, word, n in published
        ),
    ]


def read_ids(path: Path) -> list[str]:
    """Read the ``video_id`` column of a training list."""
    return [row['video_id'] for _, row in read_table(path, ['video_id'])]


def read_listed(data: Path, ids: Path, load: Callable = read_json) -> Captions:
    """Read all captions of the listed videos, in the order of the list."""
    without = f'listed in {ids.name}, without a caption in {data.name}'
    with expecting_format(data, FORM) as place:
        return _gather(load(data), read_ids(ids), without, place)


def read_published(data: Path, split: str, load: Callable = read_json) -> Captions:
    """Read all captions of the videos of a split."""
    with expecting_format(data, FORM) as place:
        content = load(data)
        ids = [video['video_id'] for video in check_type(content['videos'], list) if video['split'] == split]
        return _gather(content, ids, f'of the split {split!r}, without a caption', place)


def read_pairs(path: Path) -> Captions:
    """Read a test with the columns ``video_id`` and ``sentence``."""
    captions = Captions()
    for _, row in read_table(path, ['video_id', 'sentence']):
        captions.add(row['video_id'], row['sentence'])
    return captions


def _gather(content: dict, ids: Iterable[str], without: str, place: Place) -> Captions:
    captions = Captions()
    sentences: dict[str, list[str]] = {video: [] for video in ids}
    for number, sentence in enumerate(check_type(content['sentences'], list)):
        place.entry = f'sentence {number}'
        if sentence['video_id'] in sentences:
            sentences[sentence['video_id']].append(sentence['caption'])
    for video, texts in sentences.items():
        place.entry = video
        if not texts:
            captions.skip(without, video)
        for text in texts:
            captions.add(video, text)
    return captions
