"""The reference's moments, against its rule as a plain loop over seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmclip4clip.datasets import DecodeVideo, SampleAtRate, TimeWindow

from ...videos import at_rate, write_frames


def reference_loop(total, video_fps, sample_fps=1, start=None, end=None) -> list:
    """Each second from the start to the end inclusive; a frame that is not there ends it."""
    fps = int(video_fps)
    last = (total + fps - 1) // fps
    start, end = (0, last) if start is None else (start, min(end, last))
    interval = max(1, fps // sample_fps)
    taken, second = [], start
    while second < end + 1:
        for place in range(0, fps, interval)[:sample_fps]:
            frame = int(second * fps) + place
            if frame >= total:
                return taken
            taken.append(frame)
        second += 1
    return taken


def sample(total, fps, sample_fps=1, **window) -> list:
    results = dict(filename='v.mp4', total_frames=total, avg_fps=fps, start_index=0, **window)
    results = TimeWindow(reference_times=True)(results)
    return SampleAtRate(sample_fps, 10**6, reference_times=True)(results)['frame_inds'].tolist()


RATES = st.one_of(
    st.sampled_from([25, 30, 29.97, 24000 / 1001, 15, 12.5, 1]),
    st.floats(5, 61).map(lambda fps: round(fps, 3)),
)


@given(st.integers(1, 4000), RATES, st.integers(1, 5))
def test_whole_videos_give_the_frames_of_the_loop(total, fps, sample_fps):
    sample_fps = min(sample_fps, int(fps))
    assert sample(total, fps, sample_fps) == reference_loop(total, fps, sample_fps)


@given(
    st.integers(1, 4000),
    st.sampled_from([25, 30, 29.97, 12.5]),
    st.integers(0, 40),
    st.integers(1, 60),
    st.integers(1, 4),
)
def test_windows_give_the_frames_of_the_loop(total, fps, start, length, sample_fps):
    window = dict(start=start, end=start + length)
    expected = reference_loop(total, fps, sample_fps, **window)
    if expected:
        assert sample(total, fps, sample_fps, **window) == expected
    else:
        with pytest.raises(ValueError, match='v.mp4: the window starts at'):
            sample(total, fps, sample_fps, **window)


def test_windows_may_begin_within_a_second():
    for start, end in ((1.5, 4), (0.25, 0.75), (2, 2.5)):
        assert sample(500, 29.97, start=start, end=end) == reference_loop(500, 29.97, start=start, end=end)


def test_it_drifts_and_includes_the_end_second():
    assert sample(1000, 29.97)[30] == 30 * 29  # 29.1 s into the video
    assert SampleAtRate(1, 99)(dict(total_frames=1000, avg_fps=29.97, start_index=0))['frame_inds'][30] == 899
    assert len(sample(2000, 30, start=0, end=31)) == 32  # DiDeMo's window
    plain = TimeWindow()(dict(total_frames=2000, avg_fps=30, start_index=0, start=0, end=31))
    assert SampleAtRate(1, 99)(plain)['clip_len'] == 31


def test_a_computed_rate_just_below_a_whole_number_is_that_number():
    assert sample(100, 30 - 1e-12) == [0, 30, 60, 90]


def test_decoding_takes_the_window_as_its_sampler_has_it(tmp_path):
    path = write_frames(tmp_path / 'a.mp4', at_rate(10, 60))
    for reference, expected in ((True, [10, 20, 30]), (False, [10, 20])):
        decode = DecodeVideo(dict(type='SampleAtRate', reference_times=reference), time_limit=None)
        assert decode(dict(filename=str(path), start=1, end=3))['frame_inds'].tolist() == expected
        assert f'TimeWindow(reference_times={reference})' in repr(decode)


@pytest.mark.parametrize(
    'total, fps, sample_fps, message',
    [
        (9, 0.5, 1, 'needs at least 1 frame per second, got 0.5'),
        (9, 3, 4, '3 frames per second has fewer than 4'),
    ],
)
def test_what_the_reference_cannot_read_is_refused(total, fps, sample_fps, message):
    with pytest.raises(ValueError, match=f'v.mp4.*{message}'):
        sample(total, fps, sample_fps)
    with pytest.raises(ValueError, match='fps must be an integer, got 1.5'):
        SampleAtRate(1.5, reference_times=True)
