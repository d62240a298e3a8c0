import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmaction.registry import TRANSFORMS

from mmclip4clip.datasets import SampleAtRate, SampleEvenly, TimeWindow


def video(total, fps, **kwargs):
    return dict(dict(filename='v.mp4', total_frames=total, avg_fps=fps, start_index=0), **kwargs)


def sample(total, fps, rate=1, max_frames=12, cut='uniform', **kwargs):
    results = SampleAtRate(rate, max_frames, cut)(video(total, fps, **kwargs))
    assert results['clip_len'] == len(results['frame_inds'])
    return results['frame_inds'].tolist()


def test_one_frame_a_second_at_a_whole_rate():
    assert sample(100, 25) == [0, 25, 50, 75]
    assert sample(101, 25) == [0, 25, 50, 75, 100]


def test_fractional_rates_do_not_drift():
    # The reference takes 29.97 for 29 and is a second early after half a minute.
    assert sample(1000, 29.97, max_frames=99) == [math.floor(29.97 * k) for k in range(34)]


def test_a_slow_video_gives_each_frame_once():
    assert sample(5, 3, rate=10) == [0, 1, 2, 3, 4]
    assert sample(1, 30) == [0]


@pytest.mark.parametrize(
    'cut, expected', [('head', [0, 10, 20]), ('tail', [70, 80, 90]), ('uniform', [0, 40, 90])]
)
def test_cuts_as_the_reference_does(cut, expected):
    assert sample(100, 10, max_frames=3, cut=cut) == expected


def test_windows_shift_every_sampler():
    windowed = TimeWindow()(video(100, 10, start=3.0, end=6.0))
    assert (windowed['start_index'], windowed['total_frames']) == (30, 30)
    assert SampleAtRate()(windowed)['frame_inds'].tolist() == [30, 40, 50]
    segments = TRANSFORMS.build(dict(type='UniformSample', clip_len=4, num_clips=1))
    inds = segments(windowed)['frame_inds']
    assert inds.min() >= 30 and inds.max() <= 59


@pytest.mark.parametrize(
    'window, expected',
    [
        (dict(), (0, 100)),
        (dict(end=2), (0, 20)),
        (dict(start=9), (90, 10)),
        (dict(start=5, end=99), (50, 50)),
        (dict(start=1.01, end=1.02), (10, 1)),
        (dict(start=None, end=None), (0, 100)),
    ],
)
def test_windows_are_clipped_to_the_video_and_never_empty(window, expected):
    results = TimeWindow()(video(100, 10, **window))
    assert (results['start_index'], results['total_frames']) == expected


def test_a_window_after_the_end_is_refused():
    with pytest.raises(ValueError, match=r'v.mp4: the window starts at 10 s, but .* ends at 10.00 s'):
        TimeWindow()(video(100, 10, start=10, end=12))


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(fps=0), 'fps must be positive'),
        (dict(max_frames=0), 'max_frames'),
        (dict(cut='middle'), "got 'middle'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SampleAtRate(**arguments)


def test_a_video_without_frames_or_rate_is_named():
    with pytest.raises(ValueError, match='v.mp4: expected frames .* got 0 frames'):
        sample(0, 25)
    with pytest.raises(ValueError, match='v.mp4.* at 0 frames per second'):
        sample(5, 0)


@given(
    st.integers(1, 3000),
    st.floats(1, 120),
    st.floats(0.1, 60),
    st.integers(1, 64),
    st.sampled_from(['head', 'tail', 'uniform']),
)
def test_frames_exist_rise_and_never_exceed_the_limit(total, fps, rate, max_frames, cut):
    inds = np.array(sample(total, fps, rate, max_frames, cut))
    assert 1 <= len(inds) <= max_frames
    assert inds.min() >= 0 and inds.max() < total
    assert (np.diff(inds) > 0).all()


def test_where_the_rate_varies_seconds_are_found_by_the_times():
    times = np.array([0, 0.5, 1, 4, 4.1, 4.2, 9])  # mean rate 6 / 9
    uneven = dict(frame_times=times)
    assert sample(7, 6 / 9, max_frames=99, **uneven) == [0, 2, 3, 5, 6]
    assert sample(7, 6 / 9, rate=2, max_frames=99, **uneven) == [0, 1, 2, 3, 5, 6]
    windowed = TimeWindow()(video(7, 6 / 9, start=3, end=4.15, **uneven))
    assert (windowed['start_index'], windowed['total_frames']) == (2, 3)  # on show at 3 s: frame 2
    assert SampleAtRate(fps=1)(windowed)['frame_inds'].tolist() == [2, 3]  # 3 s after frame 2 comes 3
    with pytest.raises(ValueError, match='starts at 14 s, but the video ends at 13.80 s'):
        TimeWindow()(video(7, 6 / 9, start=14, **uneven))


def test_even_sampling_takes_first_last_and_between_whatever_the_rate():
    def evenly(count, **kwargs):
        return SampleEvenly(count)(video(9, 0, **kwargs))['frame_inds'].tolist()

    assert evenly(3) == [0, 4, 8] and evenly(1) == [0]
    assert evenly(3, start_index=5) == [5, 9, 13]
    assert SampleEvenly(4)(video(2, 25))['frame_inds'].tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match='num_frames must be at least 1, got 0'):
        SampleEvenly(0)
