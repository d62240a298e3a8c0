"""Which stream of a file is the video: the same for all backends, or refused by the backend's name."""

import numpy as np
import pytest

from mmclip4clip.datasets import DecodeVideo, SampleEvenly
from mmclip4clip.datasets.video_readers import NoVideoError, VideoReadError, installed_backends, open_reader

from ...videos import at_rate, decode_in_order, write_frames, write_streams
from ..every_backend import every_backend

VIDEO, SOUND = dict(light=100, frames=12), dict(sound=True, frames=20)
COVER, STILL = dict(light=200, cover=True), dict(light=10)
OTHER = dict(light=50, frames=30, size=(128, 96))


@pytest.mark.parametrize(
    'name, streams',
    [
        ('last.mp4', [VIDEO, COVER]),
        ('first.mp4', [COVER, VIDEO]),
        ('first.mkv', [COVER, VIDEO]),
        ('still.mkv', [STILL, VIDEO]),
        ('still.mp4', [STILL, VIDEO]),
        ('sound.mkv', [SOUND, STILL, VIDEO]),
        ('two.mkv', [VIDEO, OTHER]),
        ('two.mp4', [VIDEO, OTHER]),
    ],
)
def test_backends_read_the_moving_stream_or_refuse_by_their_name(tmp_path, name, streams):
    path = write_streams(tmp_path / name, *streams)
    with open_reader('pyav', str(path)) as reader:
        assert reader.num_frames == 12
        frames = reader.read(range(12))
    assert [round(frame.mean()) for frame in frames] == pytest.approx(range(100, 112), abs=1)
    for backend, library in (('decord', 'decord'), ('opencv', 'OpenCV')):
        with pytest.raises(VideoReadError, match=f'{library} may read another one of its 2 video streams'):
            open_reader(backend, str(path))
    assert DecodeVideo(SampleEvenly(2), time_limit=None)(dict(filename=str(path)))['backend'] == 'pyav'


@every_backend
@pytest.mark.parametrize('name', ['song.mp3', 'song.flac', 'song.mp4', 'song.mkv'])
def test_the_cover_of_a_song_is_no_video(tmp_path, name, backend):
    path = write_streams(tmp_path / name, SOUND, COVER)
    with pytest.raises(NoVideoError, match='no video stream, only 1 cover pictures|it is a picture'):
        open_reader(backend, str(path))


def test_a_song_is_read_by_no_backend_in_turn(tmp_path):
    path = write_streams(tmp_path / 'song.mp3', SOUND, COVER)
    with pytest.raises(NoVideoError, match='song.mp3 cannot be read; pyav: .*; decord: .*; opencv: '):
        DecodeVideo(SampleEvenly(2), time_limit=None)(dict(filename=str(path)))


@every_backend
def test_a_video_with_sound_is_read_by_all(tmp_path, backend):
    path = write_streams(tmp_path / 'a.mp4', SOUND, VIDEO)
    assert open_reader(backend, str(path)).num_frames == 12


@pytest.mark.parametrize(
    'name, codec, pixels',
    [
        ('gray.mp4', 'libx264', 'gray'),
        ('full.mp4', 'libx264', 'yuvj420p'),
        ('444.mp4', 'libx264', 'yuv444p'),
        ('alpha.webm', 'libvpx-vp9', 'yuva420p'),
        ('alpha.mov', 'qtrle', 'argb'),
        ('rgb.mkv', 'libx264rgb', 'rgb24'),
    ],
)
def test_gray_alpha_and_full_range_are_the_same_to_all_backends(tmp_path, name, codec, pixels):
    path = write_frames(tmp_path / name, at_rate(30, 12), codec=codec, pixels=pixels)
    expected = decode_in_order(path)
    for backend in installed_backends():
        frames = open_reader(backend, str(path)).read([0, 5, 11])
        assert all(map(np.array_equal, frames, [expected[i] for i in (0, 5, 11)])), backend


def test_deeper_colors_are_left_to_the_backend_that_reads_them_right(tmp_path):
    path = write_frames(tmp_path / 'deep.mp4', at_rate(30, 12), codec='libx265', pixels='yuv420p10le')
    assert np.array_equal(open_reader('pyav', str(path)).read([5])[0], decode_in_order(path)[5])
    for backend, library in (('decord', 'decord'), ('opencv', 'OpenCV')):
        with pytest.raises(VideoReadError, match=f'{library} reads other colors from yuv420p10le'):
            open_reader(backend, str(path))
