"""What all backends promise, on files of many kinds and on the real clips."""

import av
import numpy as np
import pytest

from mmclip4clip.datasets.video_readers import VideoReadError, open_reader
from mmclip4clip.datasets.video_readers.reader import VideoReader, effective_fps

from ...videos import decode_in_order, digest
from ..every_backend import backend_params, every_backend

SOUND = (
    'mp4',
    'ntsc',
    'intra',
    'avi',
    'avi_b_frames',
    'avi_mpeg4',
    'open_groups',
    'no_count',
    'fragments',
    'uneven',
    'uneven_mkv',
    'one',
)


def same(a, b) -> bool:
    return len(a) == len(b) and all(map(np.array_equal, a, b))


@every_backend
@pytest.mark.parametrize('name', SOUND)
def test_every_frame_is_the_one_that_decoding_in_order_gives(files, backend, name):
    expected = decode_in_order(files[name])
    assert len({frame.tobytes() for frame in expected}) == len(expected)  # a wrong one would show
    for indices in (range(len(expected)), range(1, len(expected), 7), [len(expected) - 1]):
        with open_reader(backend, str(files[name])) as reader:
            assert reader.num_frames == len(expected)
            if indices:
                assert same(reader.read(indices), [expected[i] for i in indices])


@every_backend
@pytest.mark.parametrize('name', ['mp4', 'avi', 'open_groups'])
def test_a_reader_can_be_read_from_again(files, backend, name):
    expected = decode_in_order(files[name])
    with open_reader(backend, str(files[name])) as reader:
        for indices in ([0], [1, 2, 3], [4, 5], [40, 50], [3], [59]):
            assert same(reader.read(indices), [expected[i] for i in indices])


@every_backend
@pytest.mark.parametrize(
    'name, fps',
    [('mp4', 30), ('ntsc', 29.97), ('avi', 30), ('avi_b_frames', 30), ('no_count', 30), ('fragments', 30)],
)
def test_the_rate_places_each_frame_within_half_a_frame(files, backend, name, fps):
    with open_reader(backend, str(files[name])) as reader:
        assert reader.times is None
        assert abs(59 / reader.fps - 59 / fps) < 0.5 / fps


@every_backend
@pytest.mark.parametrize('name', ['uneven', 'uneven_mkv'])
def test_a_varying_rate_comes_with_the_time_of_each_frame(files, backend, name):
    times = [i / 30 for i in range(30)] + [1 + i / 2 for i in range(10)] + [6 + i / 10 for i in range(20)]
    with open_reader(backend, str(files[name])) as reader:
        assert np.abs(reader.times - times).max() < 0.001
        assert reader.fps == pytest.approx(59 / 7.9, abs=0.001)


@pytest.mark.parametrize('backend', backend_params('pyav', 'opencv', 'torchcodec'))
def test_past_the_end_the_last_frame_stands_and_the_count_is_corrected(files, backend):
    with av.open(str(files['over'])) as container:
        assert container.streams.video[0].frames == 60
    expected = decode_in_order(files['over'])
    assert 20 < len(expected) < 40
    reader = open_reader(backend, str(files['over']))
    frames = reader.read([0, 10, 59, 70])
    assert same(frames[:2], [expected[0], expected[10]])
    assert 20 < reader.num_frames <= len(expected)
    assert np.array_equal(frames[2], expected[reader.num_frames - 1]) and frames[3] is frames[2]


@pytest.mark.parametrize('backend', backend_params('pyav', 'opencv', 'torchcodec'))
def test_turned_videos_come_upright(files, backend):
    expected = [np.rot90(frame, -1) for frame in decode_in_order(files['turned'])]
    assert same(open_reader(backend, str(files['turned'])).read([0, 33]), [expected[0], expected[33]])


@every_backend
def test_a_file_that_cannot_be_opened_is_an_error_of_one_kind(files, backend, tmp_path):
    (tmp_path / 'empty.mp4').touch()
    for path in (files['cut'], tmp_path / 'empty.mp4', tmp_path, tmp_path / 'none.mp4'):
        with pytest.raises(VideoReadError):
            open_reader(backend, str(path))


@every_backend
def test_the_real_clips_equal_decoding_in_order(clips, real_frames, backend):
    for clip in clips:
        expected = real_frames(clip)
        indices = np.linspace(0, len(expected) - 1, 9).astype(int)
        with open_reader(backend, str(clip)) as reader:
            assert reader.num_frames == len(expected), clip
            assert [digest(frame) for frame in reader.read(indices)] == [expected[i] for i in indices], clip


def test_whatever_a_decoder_raises_becomes_an_error_of_the_video():
    class Broken(VideoReader):
        num_frames = 3

        def _decode(self, indices):
            raise KeyError('lost')

    with pytest.raises(VideoReadError, match="KeyError: 'lost'"):
        Broken().read([0])
    Broken._decode = lambda self, indices: {}
    with pytest.raises(VideoReadError, match='none of its 3 frames can be decoded'):
        Broken().read([0])


def test_the_reported_rate_is_kept_while_it_is_right_within_half_a_frame():
    assert effective_fps(np.arange(100) / 25, 25) == (25, None)
    assert effective_fps(np.arange(100) / 25, 25.1) == (25.1, None)  # 99 / 25.1 s: 0.4 frames late
    fps, times = effective_fps(np.arange(100) / 25, 25.2)
    assert fps == pytest.approx(25) and times is None
    assert effective_fps(np.arange(100) / 25, 0)[0] == pytest.approx(25)
    assert effective_fps(None, 12) == (12, None) and effective_fps(np.zeros(1), 0) == (1, None)
    seconds = np.array([0, 1, 2, 10.0])
    fps, times = effective_fps(seconds, 1)
    assert fps == pytest.approx(0.3) and times is seconds
