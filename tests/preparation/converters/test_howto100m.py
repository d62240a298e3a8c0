import json

import pytest

from mmclip4clip.preparation.converters import convert
from mmclip4clip.preparation.converters.howto100m import read, read_ids, splits

NARRATIONS = {
    'Z8xhli297v8': dict(start=[0.08, 7.37], end=[9.96, 16.98], text=['cut the onion', 'stir']),
    '-b': dict(start=[5], end=[4.5], text=['backwards']),
    'c': dict(start=[1], end=[2], text=['fry']),
}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_every_narration_has_its_window_inside_the_long_video(tmp_path):
    captions = read(write(tmp_path / 'raw_caption.json', NARRATIONS))
    assert captions.entries == [
        dict(video='Z8xhli297v8', captions=['cut the onion'], start=0.08, end=9.96),
        dict(video='Z8xhli297v8', captions=['stir'], start=7.37, end=16.98),
        dict(video='c', captions=['fry'], start=1, end=2),
    ]
    assert captions.skipped == {'a start that is not before the end': ['-b 5.0-4.5']}


def test_a_folder_of_tables_gives_the_same(tmp_path):
    (tmp_path / 'csv').mkdir()
    for video, rows in NARRATIONS.items():
        lines = [f'{a},{b},{c}' for a, b, c in zip(rows['start'], rows['end'], rows['text'])]
        write(tmp_path / 'csv' / f'{video}.csv', '\n'.join(['start,end,text', *lines]))
    (tmp_path / 'csv/c.csv').rename(tmp_path / 'csv/c.CSV')
    one = read(tmp_path / 'csv').entries
    other = read(write(tmp_path / 'a.json', NARRATIONS)).entries
    assert sorted(one, key=str) == sorted(other, key=str) and len(one) == 3


@pytest.mark.parametrize(
    'content', ['c\nno\n', 'video_id,category_1,rank\nc,Food and Entertaining,3\nno,Food,1\n']
)
def test_only_listed_videos_are_taken(tmp_path, content):
    source, ids = write(tmp_path / 'a.json', NARRATIONS), write(tmp_path / 'ids.csv', content)
    assert read_ids(ids) == ['c', 'no']
    captions = read(source, ids)
    assert [e['video'] for e in captions.entries] == ['c']
    assert captions.skipped == {'listed in ids.csv, without narrations': ['no']}


@pytest.mark.parametrize(
    'content, message',
    [
        ([1], 'AttributeError'),
        ({'a': dict(start=[0], end=[1])}, "KeyError\\('text'\\)"),
        ({'a': dict(start=[0, 1], end=[1, 2], text=['x'])}, 'a has 2 starts, 2 ends and 1 texts'),
        ({'a': dict(start=['soon'], end=[1], text=['x'])}, 'could not convert string to float'),
        ({'a': dict(start=[None], end=[1], text=['x'])}, 'TypeError'),
        ({'a': dict(start='12', end='34', text='ab')}, "at 'a' TypeError.*expected list, got '12'"),
        ({'a': dict(start=[0], end=[1], text={'x': 1})}, "at 'a' TypeError.*expected list"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf'a.json is not of the form \{{video: \{{"start".*{message}'):
        read(write(tmp_path / 'a.json', content))


def test_a_long_video_is_one_file_of_many_windows(tmp_path):
    source = write(tmp_path / 'a.json', NARRATIONS)
    (tmp_path / 'Z8xhli297v8.webm').touch()
    (train,) = convert(splits(source), tmp_path / 'out', tmp_path)
    assert [(e['video'], e['start']) for e in train.entries] == [
        ('Z8xhli297v8.webm', 0.08),
        ('Z8xhli297v8.webm', 7.37),
    ]
    assert (tmp_path / 'out/train_missing.txt').read_text() == 'c\n'


def test_neighbors_in_time_join_the_captions_of_a_window(tmp_path):
    times, texts = [0, 2, 3, 9], ['a', 'b', 'c', 'd']
    source = write(tmp_path / 'a.json', {'v': dict(start=times, end=[t + 1 for t in times], text=texts)})
    assert [e['captions'] for e in read(source, neighbors=2).entries] == [
        ['a', 'b', 'c'],
        ['b', 'c', 'a'],
        ['c', 'b', 'a'],
        ['d', 'c', 'b'],
    ]
    (split,) = splits(source, neighbors=1)
    assert [e['captions'] for e in split.read(*split.sources).entries][0] == ['a', 'b']
    with pytest.raises(ValueError, match='neighbors must not be negative, got -1'):
        splits(source, neighbors=-1)
