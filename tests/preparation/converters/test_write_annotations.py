import json

import pytest

from mmclip4clip.datasets.annotations import load_annotations
from mmclip4clip.preparation.converters import Captions, Split, convert


def split(tmp_path, rows, name='train', **kwargs):
    """A split whose official file is a JSON list of rows."""
    source = tmp_path / f'official_{name}.json'
    source.write_text(json.dumps(rows))

    def read(path):
        captions = Captions()
        for row in json.loads(path.read_text()):
            captions.add(*row)
        return captions

    return Split(name, (source,), read, **kwargs)


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / 'videos'
    (folder / 'deep').mkdir(parents=True)
    for name in ('a.mp4', 'deep/b.avi', 'c.mov', 'c.webm'):
        (folder / name).touch()
    return folder


def written(folder):
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else {}


def test_names_become_paths_in_mmaction2s_form(tmp_path, videos):
    (report,) = convert(
        [split(tmp_path, [('b', 'é'), ('a', 'two'), ('b', 'three')])], tmp_path / 'out', videos
    )
    assert written(tmp_path / 'out') == {
        'train.json': '{\n"deep/b.avi": ["é", "three"],\n"a.mp4": ["two"]\n}\n'
    }
    assert (
        load_annotations(tmp_path / 'out/train.json')
        == report.entries
        == [dict(video='deep/b.avi', captions=['é', 'three']), dict(video='a.mp4', captions=['two'])]
    )


def test_windows_take_the_list_form(tmp_path, videos):
    convert([split(tmp_path, [('a', 'x', 0, 5), ('a', 'y', 5, 9.5)])], tmp_path / 'out', videos)
    assert load_annotations(tmp_path / 'out/train.json') == [
        dict(video='a.mp4', captions=['x'], start=0, end=5),
        dict(video='a.mp4', captions=['y'], start=5, end=9.5),
    ]


def test_missing_videos_are_left_out_and_listed_once(tmp_path, videos):
    rows = [('a', 'x', 0, 1), ('no', 'y', 0, 1), ('no', 'z', 1, 2), ('nor', 'w', 0, 1)]
    (report,) = convert([split(tmp_path, rows)], tmp_path / 'out', videos)
    assert written(tmp_path / 'out')['train_missing.txt'] == 'no\nnor\n'
    assert [e['video'] for e in report.entries] == ['a.mp4'] and report.missing == ['no', 'nor']


def test_the_file_used_of_several_is_reported(tmp_path, videos):
    (report,) = convert([split(tmp_path, [('c', 'x')])], tmp_path / 'out', videos)
    assert report.several == [['c.webm', 'c.mov']] and report.entries[0]['video'] == 'c.webm'


def test_other_names_of_a_video_are_tried(tmp_path, videos):
    convert([split(tmp_path, [('v_a', 'x')], aliases=lambda v: (v[2:],))], tmp_path / 'out', videos)
    assert list(json.loads((tmp_path / 'out/train.json').read_text())) == ['a.mp4']


def test_an_ending_can_be_assumed_without_any_video(tmp_path):
    splits = [split(tmp_path, [('film_00.01.129', 'x'), ('b.mov', 'y')])]
    (report,) = convert(splits, tmp_path / 'out', tmp_path / 'none', ending='.mkv')
    assert [e['video'] for e in report.entries] == ['film_00.01.129.mkv', 'b.mkv'] and not report.missing


def test_splits_without_their_official_files_are_reported_and_the_others_converted(tmp_path, videos):
    absent = Split('val', (tmp_path / 'val.csv',), None)
    train, val = convert([split(tmp_path, [('a', 'x')]), absent], tmp_path / 'out', videos)
    assert val.absent == [tmp_path / 'val.csv'] and train.entries
    assert list(written(tmp_path / 'out')) == ['train.json']


def test_nothing_is_overwritten_without_force(tmp_path, videos):
    splits = [split(tmp_path, [('a', 'x')]), split(tmp_path, [('a', 'y')], 'test')]
    (tmp_path / 'out').mkdir()
    for name in ('test.json', 'train_missing.txt'):
        (tmp_path / 'out' / name).write_text('mine')
    with pytest.raises(FileExistsError, match='--force replaces them:\n .*train_missing.txt\n .*test.json$'):
        convert(splits, tmp_path / 'out', videos)
    assert written(tmp_path / 'out') == {'test.json': 'mine', 'train_missing.txt': 'mine'}
    convert(splits, tmp_path / 'out', videos, force=True)
    # the old list of missing videos would mislead
    assert sorted(written(tmp_path / 'out')) == ['test.json', 'train.json']
    assert 'mine' not in written(tmp_path / 'out')['test.json']


@pytest.mark.parametrize(
    'kwargs, rows, message',
    [
        (dict(videos=2), [('a', 'x')], '2 videos are expected, but the official files have 1'),
        (dict(captions=1234), [('a', 'x')], '1,234 captions are expected, but the official files have 1'),
        (dict(), [('a', 'x'), ('no', 'y')], '1 of 2 videos were not found, such as no'),
    ],
)
def test_strict_refuses_any_problem_and_writes_nothing(tmp_path, videos, kwargs, rows, message):
    splits = [split(tmp_path, rows, **kwargs)]
    with pytest.raises(ValueError, match=message):
        convert(splits, tmp_path / 'out', videos, strict=True)
    assert written(tmp_path / 'out') == {}
    (report,) = convert(splits, tmp_path / 'out', videos)
    assert message in report.problems[0] and 'train.json' in written(tmp_path / 'out')


def test_strict_lets_the_expected_counts_pass(tmp_path, videos):
    (report,) = convert(
        [split(tmp_path, [('a', 'x'), ('a', 'y')], videos=1, captions=2)],
        tmp_path / 'out',
        videos,
        strict=True,
    )
    assert report.problems == []


def test_an_error_in_a_later_split_leaves_nothing_of_an_earlier_one(tmp_path, videos):
    def fail(path):
        raise ValueError('damaged')

    good = split(tmp_path, [('a', 'x')])
    with pytest.raises(ValueError, match='damaged'):
        convert([good, Split('val', good.sources, fail)], tmp_path / 'out', videos)
    assert written(tmp_path / 'out') == {}


def test_two_official_names_of_one_file_are_refused(tmp_path, videos):
    with pytest.raises(ValueError, match='train: a.avi and a.mkv are different videos .* same file: a.mp4'):
        convert([split(tmp_path, [('a.avi', 'x'), ('a.mkv', 'y')])], tmp_path / 'out', videos)


@pytest.mark.parametrize(
    'rows, error, message',
    [
        (
            [('no', 'x'), ('nor', 'y')],
            FileNotFoundError,
            r"none of the 2 videos of train is in .*videos; searched for \['no'",
        ),
        ([], ValueError, r"the official files of \['train'\] contain no captions"),
        ([('a', ' ')], ValueError, 'contain no captions'),
    ],
)
def test_nothing_to_write_is_an_error(tmp_path, videos, rows, error, message):
    with pytest.raises(error, match=message):
        convert([split(tmp_path, rows)], tmp_path / 'out', videos)
    assert written(tmp_path / 'out') == {}


def test_a_split_of_which_no_video_is_there_gets_a_list_and_no_json(tmp_path, videos):
    convert([split(tmp_path, [('a', 'x')]), split(tmp_path, [('no', 'y')], 'test')], tmp_path / 'out', videos)
    assert sorted(written(tmp_path / 'out')) == ['test_missing.txt', 'train.json']


def test_no_official_file_at_all_is_an_error_that_names_them(tmp_path, videos):
    absent = [Split(name, (tmp_path / f'{name}.csv',), None) for name in ('train', 'val')]
    with pytest.raises(FileNotFoundError, match='none of the official files .*\n .*train.csv\n .*val.csv'):
        convert(absent, tmp_path / 'out', videos)


def test_a_folder_of_videos_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match='the folder of the videos, .*none, does not exist'):
        convert([split(tmp_path, [('a', 'x')])], tmp_path / 'out', tmp_path / 'none')
