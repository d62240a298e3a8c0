import numpy as np
import pytest

from mmclip4clip.datasets import DecodeVideo, SegmentDecoder
from mmclip4clip.datasets.video_readers import VideoReadError, open_reader

from ...videos import at_rate, decode_in_order, write_frames

RATE = dict(type='SampleAtRate', fps=4, max_frames=6)
EVENLY = dict(type='SampleEvenly', num_frames=5)


def windows(filename: str, duration: float) -> list:
    starts = np.arange(0, max(duration - 0.5, 0.1), 0.5).tolist()
    return [(None, None), *((start, start + 1.0) for start in starts)]


def one_by_one(path, sampling, plan=windows) -> list:
    """Decode each window as a video of its own."""
    decode = DecodeVideo(sampling, time_limit=None)
    duration = 2.0
    found = []
    for start, end in plan(str(path), duration):
        window = {} if start is None else dict(start=start, end=end)
        found.append(decode(dict(filename=str(path), **window))['imgs'])
    return found


def in_one_pass(path, sampling, plan=windows, max_frames=64, **kwargs) -> tuple[list, list]:
    decoder = SegmentDecoder(DecodeVideo(sampling, **dict(dict(time_limit=None), **kwargs)), max_frames)
    chunks = list(decoder(dict(filename=str(path)), plan))
    segments = [segment for chunk in chunks for segment in chunk.segments]
    frames = [[chunk.results['imgs'][i] for i in places] for chunk in chunks for places in chunk.positions]
    return segments, frames


@pytest.mark.parametrize('sampling', [RATE, EVENLY], ids=['rate', 'evenly'])
@pytest.mark.parametrize('max_frames', [1, 7, 64])
@pytest.mark.parametrize('name', ['mp4', 'avi_b_frames'])
def test_the_frames_of_each_segment_are_those_of_its_own_decode(files, name, sampling, max_frames):
    segments, frames = in_one_pass(files[name], sampling, max_frames=max_frames)
    assert segments == windows('', 2.0)  # 60 frames at 30 per second
    for found, expected in zip(frames, one_by_one(files[name], sampling), strict=True):
        assert len(found) == len(expected) and all(map(np.array_equal, found, expected))


def test_windows_that_overlap_decode_no_frame_twice(files, monkeypatch):
    decoder = SegmentDecoder(DecodeVideo(RATE, time_limit=None, backends=['opencv']), max_frames=4)
    read, original = [], decoder.decode.open

    def count(backend, filename):
        reader = original(backend, filename)
        decode = reader.read
        reader.read = lambda indices: read.extend(indices) or decode(indices)
        return reader

    monkeypatch.setattr(decoder.decode, 'open', count)
    chunks = list(decoder(dict(filename=str(files['mp4'])), lambda *video: windows(*video)[1:]))
    assert len(chunks) > 1 and len(read) == len(set(read)) > 6


def test_a_chunk_contains_no_more_frames_than_allowed(files):
    decoder = SegmentDecoder(DecodeVideo(RATE, time_limit=None), max_frames=7)
    sizes = [len(chunk.results['imgs']) for chunk in decoder(dict(filename=str(files['mp4'])), windows)]
    assert max(sizes) <= 7 and len(sizes) > 1
    few = DecodeVideo(RATE, time_limit=None, max_bytes=4 * 3 * 48 * 64 * 3)  # three frames in four copies
    sizes = [
        len(chunk.results['imgs']) for chunk in SegmentDecoder(few)(dict(filename=str(files['mp4'])), windows)
    ]
    assert sizes[0] == 6 and max(sizes[1:]) <= 4  # one segment at a time


def test_segments_after_the_last_decodable_frame_are_left_out(files, tmp_path):
    plan = lambda filename, duration: [(None, None), (0.5, 1.0), (1.7, 2.0), (duration + 1, 9)]  # noqa: E731
    segments, frames = in_one_pass(files['mp4'], RATE, plan)
    assert segments == [(None, None), (0.5, 1.0), (1.7, 2.0)]
    assert [len(part) for part in frames] == [6, 2, 2]
    segments, frames = in_one_pass(files['over'], RATE, plan)  # reports 60 frames; fewer can be decoded
    last = decode_in_order(files['over'])[-1]
    assert segments == [(None, None), (0.5, 1.0)] and np.array_equal(frames[0][-1], last)


def test_frames_that_cannot_be_decoded_are_counted(files):
    def missing(name):
        decoder = SegmentDecoder(DecodeVideo(RATE, time_limit=None, backends=['pyav']))
        return list(decoder(dict(filename=str(files[name])), windows))[-1].missing_frames

    with open_reader('pyav', str(files['over'])) as reader:
        expected = reader.num_frames - len(decode_in_order(files['over']))
    assert missing('over') == expected and missing('mp4') == 0


def test_the_duration_is_that_of_the_frames(tmp_path):
    path = write_frames(tmp_path / 'v.mp4', at_rate(10, 35))
    durations = []
    plan = lambda filename, duration: durations.append(duration) or [(None, None)]  # noqa: E731
    (chunk,) = SegmentDecoder(DecodeVideo(RATE, time_limit=None))(dict(filename=str(path)), plan)
    assert durations == [chunk.duration] == [pytest.approx(3.5, abs=0.01)]


def test_the_next_backend_goes_on_where_one_failed(files, monkeypatch):
    decoder = SegmentDecoder(DecodeVideo(RATE, time_limit=None, backends=['pyav', 'opencv']), max_frames=6)
    original = decoder.decode.open

    def fail_later(backend, filename):
        reader = original(backend, filename)
        if backend == 'pyav':
            decode, calls = reader.read, []

            def read(indices):
                calls.append(indices)
                if len(calls) > 3:
                    raise VideoReadError('the rest is damaged')
                return decode(indices)

            reader.read = read
        return reader

    monkeypatch.setattr(decoder.decode, 'open', fail_later)
    chunks = list(decoder(dict(filename=str(files['mp4'])), windows))
    assert [segment for chunk in chunks for segment in chunk.segments] == windows('', 2.0)
    backends = [chunk.results['backend'] for chunk in chunks]
    assert set(backends) == {'pyav', 'opencv'} and backends == sorted(backends, reverse=True)


def test_a_video_that_no_backend_reads_is_an_error_with_all_reasons(tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(VideoReadError, match='text.mp4 cannot be read; pyav: .*opencv: '):
        in_one_pass(tmp_path / 'text.mp4', RATE)


@pytest.mark.skipif('sys.platform != "linux"', reason='needs a reader process')
def test_the_time_limit_applies_to_each_chunk(files, monkeypatch):
    decoder = SegmentDecoder(DecodeVideo(RATE, time_limit=30), max_frames=6)
    limits = []
    for chunk in decoder(dict(filename=str(files['mp4'])), windows):
        limits.append(decoder.decode._process._limit)
        assert chunk.segments
    assert len(set(map(id, limits))) == len(limits) > 1
