import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmclip4clip.preparation.converters.video_folder import ENDINGS, VideoFolder, stem_of

LSMDC = '0001_American_Beauty_00.00.51.926-00.00.54.129'


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return VideoFolder(folder)


@pytest.mark.parametrize(
    'name, stem',
    [
        ('video0', 'video0'),
        ('video0.mp4', 'video0'),
        ('a.MOV', 'a'),
        ('a.mov.mp4', 'a'),
        ('a/b.avi', 'a/b'),
        (LSMDC, LSMDC),
        (LSMDC + '.avi', LSMDC),
        ('12@N07_3.', '12@N07_3'),
        ('12@N07_3..mp4', '12@N07_3'),
        ('v.1', 'v.1'),
        ('.mp4', '.mp4'),
    ],
)
def test_only_endings_of_videos_are_stripped(name, stem):
    assert stem_of(name) == stem


@given(st.from_regex(r'[ab]+(\.[0-9]{1,3})*', fullmatch=True), st.lists(st.sampled_from(ENDINGS)))
def test_dotted_numbers_stay_and_any_pile_of_endings_goes(name, endings):
    assert stem_of(name + ''.join(endings)) == name


@pytest.mark.parametrize('ending', ['.mp4', '.avi', '.mkv', '.webm', '.mov', '.MP4', '.m4v'])
def test_a_video_is_found_whatever_its_ending_and_folder(tmp_path, ending):
    folder = make(tmp_path, f'{LSMDC}{ending}', f'deep/er/video0{ending}', 'video0.txt', 'other.mp4')
    assert folder.find(LSMDC) == [LSMDC + ending]
    assert folder.find('video0') == folder.find('video0.mp4') == [f'deep/er/video0{ending}']
    assert folder.find('video') == folder.find('video1') == []


def test_dots_in_a_name_are_no_endings(tmp_path):
    folder = make(tmp_path, 'film_00.01.02.300-00.01.03.400.avi')
    assert folder.find('film_00.01.02.300-00.01.03') == []


def test_the_file_of_exactly_that_name_is_preferred_then_the_order_of_endings(tmp_path):
    folder = make(tmp_path, 'a.mov', 'z/a.mp4', 'a.avi', 'b/a.mp4', 'x.null', 'x.null.mp4')
    assert folder.find('a') == ['b/a.mp4', 'z/a.mp4', 'a.avi', 'a.mov']
    assert folder.find('a.mov') == ['a.mov']
    assert folder.find('z/a') == ['z/a.mp4'] and folder.find('y/a') == []
    assert folder.find('x.null') == ['x.null']


def test_links_are_followed(tmp_path):
    make(tmp_path / 'far', 'a.mp4')
    (tmp_path / 'near').mkdir()
    (tmp_path / 'near/link').symlink_to(tmp_path / 'far')
    assert VideoFolder(tmp_path / 'near').find('a') == ['link/a.mp4']


def test_all_videos_are_listed(tmp_path):
    assert make(tmp_path, 'b.avi', 'a/c.mkv', 'a/c.txt', 'd').videos == ['a/c.mkv', 'b.avi']


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='the folder of the videos, .*none, does not exist'):
        VideoFolder(tmp_path / 'none')
    (tmp_path / 'file').touch()
    with pytest.raises(NotADirectoryError, match='the folder of the videos, .*file, is a file'):
        VideoFolder(tmp_path / 'file')
