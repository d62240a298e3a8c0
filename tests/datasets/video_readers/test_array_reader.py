import numpy as np
import pytest

from mmclip4clip.datasets import DecodeVideo, SampleAtRate, SampleEvenly
from mmclip4clip.datasets.video_readers import VideoReadError

FRAMES = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((1, 48, 64, 3), np.uint8)


def decode(sampling, fps=4.0, **window):
    item = dict(filename='array', decoded_frames=FRAMES, decoded_fps=fps, **window)
    return DecodeVideo(sampling, time_limit=None)(item)


def test_decoded_frames_are_sampled_like_those_of_a_file():
    results = decode(SampleAtRate(fps=2, max_frames=3))
    assert [img[0, 0, 0] for img in results['imgs']] == [0, 2, 6]
    assert results['backend'] == 'array' and not {'decoded_frames', 'decoded_fps'} & set(results)
    windowed = decode(SampleEvenly(num_frames=2), start=0.5, end=1.25)
    assert [img[0, 0, 0] for img in windowed['imgs']] == [2, 4]


def test_the_array_of_the_user_is_not_changed():
    for img in decode(SampleEvenly(num_frames=12))['imgs']:
        img += 1
    assert FRAMES[0].max() == 0


def test_a_window_past_the_end_is_unreadable():
    with pytest.raises(VideoReadError, match='the window starts at 3 s, but the video ends at 2.00 s'):
        decode(SampleEvenly(num_frames=2), start=3)
