"""Time and memory of a video are bounded by what it has, not by what it says."""

import resource
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmclip4clip.datasets import DecodeVideo, SampleAtRate, SampleEvenly, TimeWindow
from mmclip4clip.datasets.transforms.sampling import frames_at_rate
from mmclip4clip.datasets.video_readers import (
    VideoReadError,
    installed_backends,
    open_reader,
    packet_index,
    video_streams,
)
from mmclip4clip.datasets.video_readers.reader import effective_fps
from mmclip4clip.preparation.compression import compress_video
from mmclip4clip.preparation.video_check import check_video

from ...videos import at_rate, write_frames
from ..every_backend import every_backend

RATES = st.one_of(st.floats(0.05, 60), st.sampled_from([1, 2, 3, 25, 30, 29.97, 1 / 3]))
EVERY_SECOND = dict(type='SampleAtRate', fps=1, max_frames=12)


def by_moments(times, duration, fps) -> np.ndarray:
    """The frame on show at each moment, one moment after the other."""
    moments = np.arange(max(1, np.ceil(duration * fps - 1e-6))) / fps + 1e-6
    return np.unique(np.searchsorted(times, moments, 'right') - 1)


@given(st.integers(1, 400), st.one_of(RATES, st.floats(0.05, 240)), RATES)
@example(100, 25, 1)
@example(300, 30000 / 1001, 29.97)
def test_at_an_even_rate_frames_are_those_of_each_moment(total, video_fps, fps):
    times = np.arange(total) / video_fps
    duration = total / video_fps
    assert np.array_equal(frames_at_rate(times, duration, fps), by_moments(times, duration, fps))


@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=60),
    st.sampled_from([1e-3, 1 / 90000, 1e-6, 0.5]),
    RATES,
)
def test_at_an_uneven_rate_frames_are_those_of_each_moment(gaps, tick, fps):
    times = np.cumsum([0, *gaps]) * tick
    duration = 2 * times[-1] - times[-2]
    if duration * fps < 1e6:
        assert np.array_equal(frames_at_rate(times, duration, fps), by_moments(times, duration, fps))


def far(path, last=1e9, frames=20):
    """Write frames of which the last one is said to be shown very late."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, 'yuv420p'
        stream.options = dict(g='5', bf='0')
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 10 * number, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            if packet.pts == frames - 1:
                packet.pts = packet.dts = int(last * 25)
            container.mux(packet)
    return path


@every_backend
def test_a_far_time_stamp_costs_no_time_and_no_memory(tmp_path, backend):
    path = far(tmp_path / 'far.mkv')
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    decode = DecodeVideo(EVERY_SECOND, [backend])
    if backend == 'decord':
        with pytest.raises(VideoReadError, match=r'far.mkv.* decord allocates memory for the .* it has 20'):
            decode(dict(filename=str(path)))
    else:
        assert decode(dict(filename=str(path)))['frame_inds'].tolist() == [0, 18, 19]
        assert decode(dict(filename=str(path), start=1.0, end=1e308))['frame_inds'].tolist() == [18, 19]
    assert time.process_time() - begin < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200e3  # KiB


def test_it_is_checked_and_compressed_in_bounded_time_too(tmp_path):
    path, begin = far(tmp_path / 'far.mkv'), time.process_time()
    assert check_video(path, DecodeVideo(SampleEvenly(4)))['frames'] == 20
    with pytest.raises(ValueError, match='far.mkv: the frame at 0.72 s .* until 1e.09 s, longer than 3600 s'):
        compress_video(path, tmp_path / 'out.mp4')
    assert not (tmp_path / 'out.mp4').exists() and time.process_time() - begin < 5


@pytest.mark.parametrize('fps', [0, -1, float('inf'), float('nan')])
def test_rates_that_are_none_are_refused(fps):
    with pytest.raises(ValueError, match='fps must be positive and finite'):
        SampleAtRate(fps)
    with pytest.raises(ValueError, match='expected frames and a frame rate'):
        SampleAtRate()(dict(total_frames=5, avg_fps=fps, start_index=0))
    assert effective_fps(None, fps) == (1, None)
    assert effective_fps(np.arange(9) / 3, fps)[0] == pytest.approx(3)


@pytest.mark.parametrize('fps, expected', [(1e9, [19]), (1e-9, list(range(20)))])
def test_absurd_rates_of_a_file_give_no_more_frames_than_it_has(fps, expected):
    video = dict(total_frames=20, avg_fps=fps, start_index=0)
    assert SampleAtRate(1, 99)(video)['frame_inds'].tolist() == expected
    assert SampleAtRate(1e9, 99)(TimeWindow()(dict(video, avg_fps=25, end=1e300)))['clip_len'] == 20


def test_times_that_are_none_are_left_out_of_account():
    assert effective_fps(np.array([0, 1, np.inf]), 25) == (25, None)
    assert effective_fps(np.array([0, 1, np.nan]), 25) == (25, None)


@pytest.mark.parametrize('time_limit', [None, 60])
def test_frames_beyond_the_memory_are_refused_by_name(files, time_limit):
    for backend in installed_backends():

        def decode(frames, backend=backend, path=files['mp4']):
            return DecodeVideo(SampleEvenly(frames), [backend], time_limit, max_bytes=3 * 64 * 48 * 4)(
                dict(filename=str(path))
            )

        assert len(decode(4)['imgs']) == 4
        with pytest.raises(VideoReadError, match='a.mp4 .* of 64 x 48 pixels, take .* max_bytes=36864'):
            decode(5)
        with pytest.raises(VideoReadError, match='max_bytes=36864'):
            decode(5, path=files['one'])  # one frame, and copies of it


def test_pictures_of_enormous_size_are_refused_where_they_do_not_fit(tmp_path):
    path = tmp_path / 'huge.mkv'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mjpeg', rate=10)
        stream.width, stream.height, stream.pix_fmt = 3000, 3000, 'yuvj420p'
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((4500, 3000), number, np.uint8), format='yuvj420p')
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VideoReadError, match='huge.mkv .* 3000 x 3000 pixels'):
        DecodeVideo(SampleEvenly(4), ['pyav'], max_bytes=2**26)(dict(filename=str(path)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100e3


@pytest.mark.parametrize(
    'arguments', [dict(max_bytes=0), dict(max_bytes=None), dict(max_bytes=-1, time_limit=None)]
)
def test_a_limit_that_is_none_is_refused(arguments):
    with pytest.raises(ValueError, match='max_bytes must be positive, or None together with time_limit=None'):
        DecodeVideo(EVERY_SECOND, **arguments)
    assert DecodeVideo(EVERY_SECOND, max_bytes=None, time_limit=None).max_bytes is None


def test_wrapped_time_stamps_tell_no_order(tmp_path, monkeypatch):
    path = write_frames(tmp_path / 'a.mp4', at_rate(10, 20))
    with open_reader('pyav', str(path)) as reader:
        assert reader._list.reliable

    class Spread:
        """A packet whose stamp lies far out."""

        def __init__(self, packet, far):
            self._packet, self.pts = packet, -(2**62) if far < 1 else 2**62 + far

        def __getattr__(self, name):
            return getattr(self._packet, name)

    demux = packet_index.demux
    monkeypatch.setattr(
        packet_index,
        'demux',
        lambda *args: (Spread(packet, number) for number, packet in enumerate(demux(*args))),
    )
    container, stream = video_streams.open_video(str(path))
    found = packet_index.PacketIndex(container, stream)
    assert not found.reliable and found.times is None and found.fps == pytest.approx(10, rel=0.1)
