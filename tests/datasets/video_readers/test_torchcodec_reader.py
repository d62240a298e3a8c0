"""Frames of torchcodec, and of PyAV where torchcodec does not return the right ones."""

import numpy as np
import pytest

from mmclip4clip.datasets.video_readers import VideoReadError, open_reader
from mmclip4clip.datasets.video_readers.pyav_reader import PyAVReader

from ...videos import at_rate, damage, decode_in_order, write_frames, write_streams
from ..every_backend import missing


@pytest.fixture(autouse=True)
def torchcodec():
    if missing('torchcodec'):
        pytest.skip(missing('torchcodec'))


def test_it_decodes_with_torchcodec_where_time_stamps_give_the_order(files, monkeypatch):
    def no_pyav(self, indices):
        raise AssertionError('PyAV decodes')

    monkeypatch.setattr(PyAVReader, '_decode', no_pyav)
    for name in ('mp4', 'ntsc', 'intra', 'avi', 'open_groups', 'no_count', 'fragments', 'uneven', 'turned'):
        open_reader('torchcodec', str(files[name])).read([0, 33])
    for name in ('avi_b_frames', 'avi_mpeg4'):
        with pytest.raises(VideoReadError, match='PyAV decodes'):
            open_reader('torchcodec', str(files[name])).read([0, 33])


def test_frames_of_other_times_are_not_taken(files):
    reader = open_reader('torchcodec', str(files['mp4']))
    assert [*reader._find([3, 30])] == [3, 30]
    reader._list.order = reader._list.order.copy()  # other readers share it
    reader._list.order[30:] += round(1 / 30 / reader._list.unit)
    assert [*reader._find([3, 29])] == [3, 29] and reader._find([3, 30]) == {}


def test_of_two_streams_it_reads_the_one_of_the_index(tmp_path):
    other = dict(light=50, frames=30, size=(128, 96))
    path = write_streams(tmp_path / 'two.mkv', dict(light=100, frames=12), other)
    frames = open_reader('torchcodec', str(path)).read(range(12))
    assert all(map(np.array_equal, frames, open_reader('pyav', str(path)).read(range(12))))


def test_deeper_colors_and_names_with_a_colon_are_read(tmp_path, monkeypatch):
    path = write_frames(tmp_path / 'a:b.mp4', at_rate(30, 12), codec='libx265', pixels='yuv420p10le')
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(open_reader('torchcodec', 'a:b.mp4').read([5])[0], decode_in_order(path)[5])


def test_a_damaged_video_has_the_frames_that_pyav_decodes(files, tmp_path):
    damage(files['mp4'], tmp_path / 'a.mp4', range(36, 39))
    expected = decode_in_order(tmp_path / 'a.mp4')
    with open_reader('torchcodec', str(tmp_path / 'a.mp4')) as reader:
        assert all(map(np.array_equal, reader.read(range(57)), expected)) and len(expected) == 57
        reader.read(range(60))
        assert reader.num_frames == 57
