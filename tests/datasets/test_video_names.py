import os

import pytest

from mmclip4clip.datasets.video_names import VideoKeys, add_ending, is_video

LSMDC = '1004_American_Beauty_00.01.02.123-00.01.05.456'


@pytest.mark.parametrize(
    'name, endings, right',
    [
        ('a.mp4', None, True),
        ('deep/a.1.MP4', None, True),
        ('a.txt', None, False),
        ('mp4', None, False),
        ('a.mp4', ['.MP4'], True),
        ('A.Mkv', ['.mp4', '.mKV'], True),
        ('a.avi', ['.mp4'], False),
        ('a_small.mp4', ['_SMALL.mp4'], True),
        ('a.mp4', ['_small.mp4'], False),
    ],
)
def test_endings_match_in_upper_and_lower_case(name, endings, right):
    assert (is_video(name) if endings is None else is_video(name, endings)) == right


@pytest.mark.parametrize(
    'name, file',
    [
        ('video0', 'video0.mp4'),
        ('video0.mp4', 'video0.mp4'),
        ('a.AVI', 'a.AVI'),
        ('a.mov', 'a.mov'),
        (LSMDC, f'{LSMDC}.mp4'),
        (f'{LSMDC}.avi', f'{LSMDC}.avi'),
        ('12@N07_3.', '12@N07_3..mp4'),
        (f'film/{LSMDC}', f'film/{LSMDC}.mp4'),
        ('v.1/clip', 'v.1/clip.mp4'),
        ('clip.final', 'clip.final.mp4'),
    ],
)
def test_a_name_without_the_ending_of_a_video_is_an_mp4(tmp_path, name, file):
    assert add_ending(name, str(tmp_path)) == file


@pytest.mark.parametrize('name', [LSMDC, 'clip.gif', 'video0', 'film/x.null'])
def test_a_file_of_exactly_that_name_stays_what_it_is(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / f'{name}.mp4').touch()
    assert add_ending(name, str(tmp_path)) == name
    assert add_ending(name, str(tmp_path), only_dotted=True) == ('video0.mp4' if name == 'video0' else name)


def test_a_folder_of_that_name_is_not_the_video(tmp_path):
    (tmp_path / 'a.b').mkdir()
    assert add_ending('a.b', str(tmp_path)) == 'a.b.mp4'


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ('one', 'two', 'one/deep'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'a.mp4').touch()
    (tmp_path / 'linked').symlink_to('one')
    (tmp_path / 'one/b.mp4').symlink_to('a.mp4')
    return tmp_path


def test_a_file_has_one_key_whatever_the_way_to_it_and_two_files_have_two(files):
    make = VideoKeys()
    ways = [
        'one/a.mp4',
        './one/a.mp4',
        f'{files}/one/a.mp4',
        'linked/a.mp4',
        'two/../one/a.mp4',
        'one/deep/../a.mp4',
        'linked/deep/../a.mp4',
        'one/b.mp4',
        'linked/b.mp4',
        'one//a.mp4',
    ]
    assert {make(way) for way in ways} == {os.path.realpath('one/a.mp4')}
    assert len({make(way) for way in ('one/a.mp4', 'two/a.mp4', 'one/deep/a.mp4')}) == 3
    os.chdir('one')
    assert VideoKeys()('a.mp4') == make(f'{files}/one/a.mp4')


def test_a_window_is_the_same_however_its_numbers_are_written(files):
    make = VideoKeys()

    def key(*window):
        return make('one/a.mp4', *window)

    assert key() == key(None, None) == key(0, None) == key(0.0) == key(-0.0)
    assert key(1, 2) == key(1.0, 2) == key(1, 2.0) != key(1, 2.5)
    assert key(None, 2) == key(0, 2.0) != key()
    assert len({key(), key(1), key(None, 1), key(1, 2), key(2, 3), key(1.5, 2)}) == 6
