import json

import pytest

from mmclip4clip.preparation.converters import convert
from mmclip4clip.preparation.converters.msrvtt import (
    read_ids,
    read_listed,
    read_pairs,
    read_published,
    splits,
)

DATA = dict(
    videos=[
        dict(video_id='video0', split='train', url='u'),
        dict(video_id='video1', split='validate'),
        dict(video_id='video2', split='train'),
    ],
    sentences=[
        dict(sen_id=i, video_id=video, caption=caption)
        for i, (video, caption) in enumerate(
            (('video2', 'a dog'), ('video0', 'a cat'), ('video2', 'a  dog runs'), ('video1', 'x'))
        )
    ],
)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def official(tmp_path):
    return write(tmp_path / 'MSRVTT_data.json', DATA)


def test_a_list_chooses_the_videos_and_their_order(tmp_path, official):
    ids = write(tmp_path / 'ids.csv', 'video_id\nvideo1\nvideo2\nvideo77\n')
    captions = read_listed(official, ids)
    assert captions.entries == [
        dict(video='video1', captions=['x']),
        dict(video='video2', captions=['a dog', 'a dog runs']),
    ]
    assert captions.skipped == {'listed in ids.csv, without a caption in MSRVTT_data.json': ['video77']}


def test_the_publishers_split_is_that_of_the_file(official):
    assert read_published(official, 'train').entries == [
        dict(video='video0', captions=['a cat']),
        dict(video='video2', captions=['a dog', 'a dog runs']),
    ]
    assert read_published(official, 'test').entries == []


def test_pairs_are_read_whatever_their_commas(tmp_path):
    path = write(tmp_path / 'test.csv', 'key,vid_key,video_id,sentence\nret0,msr9,video9,"a man, a dog"\n')
    assert read_pairs(path).entries == [dict(video='video9', captions=['a man, a dog'])]


@pytest.mark.parametrize(
    'content, message',
    [
        ({'videos': [{}], 'sentences': []}, r'of the form \{"videos": .* KeyError'),
        ([1], 'of the form .* TypeError'),
        ({'videos': DATA['videos'], 'sentences': [dict(video_id='video0')]}, "KeyError\\('caption'\\)"),
        ({'videos': DATA['videos'], 'sentences': {'video_id': 'video0'}}, 'expected list'),
        ({'videos': {'video_id': 'video0'}, 'sentences': []}, 'expected list'),
        (
            {'videos': [dict(video_id=7, split='train')], 'sentences': [dict(video_id=7, caption='x')]},
            'at 7 TypeError.*expected str, got 7',
        ),
        ({'videos': [dict(video_id=['a'], split='train')], 'sentences': []}, 'TypeError'),
        ('video_id,sentence', 'cannot be read as JSON'),
    ],
)
def test_a_wrong_file_is_named_with_the_form_expected(tmp_path, content, message):
    with pytest.raises(ValueError, match=f'bad.json.*{message}'):
        read_published(write(tmp_path / 'bad.json', content), 'train')


def test_a_list_of_another_dataset_is_refused(tmp_path, official):
    with pytest.raises(ValueError, match=r"ids.csv has no column \['video_id'\]; its columns are \['name'\]"):
        read_listed(official, write(tmp_path / 'ids.csv', 'name\nvideo0\n'))


def test_the_official_lists_have_the_published_sizes(data):
    folder = data / 'annotations/msrvtt'
    ids = {size: set(read_ids(folder / f'MSRVTT_train.{size}.csv')) for size in ('9k', '7k')}
    pairs = read_pairs(folder / 'MSRVTT_JSFUSION_test.csv').entries
    assert len(ids['9k']) == 9000 and len(ids['7k']) == 7010 and ids['7k'] < ids['9k']
    assert len(pairs) == 1000 and all(len(e['captions']) == 1 for e in pairs)
    assert not ids['9k'] & {e['video'] for e in pairs}


def test_the_official_lists_and_20_captions_a_video_give_all_published_counts(data, tmp_path):
    for path in (data / 'annotations/msrvtt').glob('*.csv'):
        (tmp_path / path.name).symlink_to(path)
    names = [('train', 6513), ('validate', 497), ('test', 2990)]
    words = [word for word, n in names for _ in range(n)]
    write(
        tmp_path / 'MSRVTT_data.json',
        dict(
            videos=[dict(video_id=f'video{i}', split=word) for i, word in enumerate(words)],
            sentences=[dict(video_id=f'video{i}', caption='x') for i in range(10000) for _ in range(20)],
        ),
    )
    reports = convert(splits(tmp_path), tmp_path / 'out', tmp_path, ending='.mp4', strict=True)
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {
        'train_9k.json',
        'train_7k.json',
        'test_JSFUSION.json',
        'caption_train.json',
        'caption_val.json',
        'caption_test.json',
    }
    assert [(len(r.entries), sum(len(e['captions']) for e in r.entries)) for r in reports] == [
        (9000, 180000),
        (7010, 140200),
        (1000, 1000),
        (6513, 130260),
        (497, 9940),
        (2990, 59800),
    ]
