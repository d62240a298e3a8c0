import numpy as np
import pytest

from mmclip4clip.moving_shapes.generator import write_video
from mmclip4clip.search import FixedWindows, Segment, Shots, WholeVideos
from mmclip4clip.search.segments import build_segments, describe_segments, divide_shots
from mmclip4clip.search.stores import SegmentRow

WHOLE = Segment(None, None)


@pytest.mark.parametrize('length, stride', [(10, 5), (3, 3), (4, 1), (0.5, 0.3)])
@pytest.mark.parametrize('duration', [0.04, 3, 9.99, 10, 10.0004, 10.5, 25, 61.7])
def test_windows_cover_every_second_and_have_the_given_length(length, stride, duration):
    whole, *windows = FixedWindows(length, stride)('v.mp4', duration)
    assert whole == WHOLE
    if duration <= length:
        assert windows == []
        return
    if windows:
        assert windows[0].start == 0 and windows[-1].end == duration
    assert all(window.end - window.start == pytest.approx(length) for window in windows[:-1])
    assert np.diff([window.start for window in windows]) == pytest.approx(stride)
    assert all(later.start <= window.end for window, later in zip(windows, windows[1:]))
    assert all(window.end < duration for window in windows[:-1])


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(length=0), 'length must be positive seconds, got 0'),
        (dict(stride=-1), 'stride must be positive seconds, got -1'),
        (dict(length=True), 'length must be positive seconds, got True'),
        (dict(length=float('nan')), 'length must be positive'),
        (dict(length=2, stride=3), 'seconds between two windows would be in neither'),
    ],
)
def test_wrong_windows_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FixedWindows(**arguments)


def test_long_shots_are_divided_into_equal_parts():
    assert divide_shots([(0.0, 10.0), (10.0, 31.0)], 10) == [(0, 10), (10, 17), (17, 24), (24, 31)]


@pytest.mark.parametrize('segments', [FixedWindows(8, 2.5), WholeVideos()])
def test_segments_are_rebuilt_from_their_description(segments):
    assert build_segments(describe_segments(segments)) == segments


def test_an_unknown_kind_of_segments_is_refused():
    with pytest.raises(ValueError, match="kind 'scenes' are unknown, expected one of"):
        build_segments(dict(kind='scenes'))


def test_shots_begin_where_the_picture_changes(tmp_path):
    pytest.importorskip('scenedetect', reason='needs the extra shots')
    frames = np.zeros((60, 48, 64, 3), np.uint8)
    for scene, color in enumerate([(200, 30, 30), (20, 20, 220), (240, 240, 240)]):
        frames[20 * scene : 20 * scene + 20] = color
    write_video(str(tmp_path / 'v.mp4'), frames, fps=10)
    segments = Shots(min_length=0.5)
    assert segments(str(tmp_path / 'v.mp4'), 6.0) == [WHOLE, (0.0, 2.0), (2.0, 4.0), (4.0, 6.0)]
    assert build_segments(describe_segments(segments)) == segments
    write_video(str(tmp_path / 'one.mp4'), frames[:20], fps=10)
    assert segments(str(tmp_path / 'one.mp4'), 2.0) == [WHOLE]
    assert Shots(max_length=1.5)(str(tmp_path / 'one.mp4'), 2.0) == [WHOLE, (0.0, 1.0), (1.0, 2.0)]


def test_a_file_without_shots_is_divided_by_time(tmp_path):
    pytest.importorskip('scenedetect', reason='needs the extra shots')
    (tmp_path / 'v.mp4').write_text('no video')
    assert Shots(max_length=10)(str(tmp_path / 'v.mp4'), 20.0) == [WHOLE, (0.0, 10.0), (10.0, 20.0)]


def test_missing_shot_detection_is_said(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'scenedetect', None)
    with pytest.raises(ImportError, match=r"pip install 'mmclip4clip\[shots\]'"):
        Shots()


def test_ids_of_segments_are_those_of_file_and_number():
    vector = np.ones(1, np.float32)
    rows = [SegmentRow(name, n, 0, 1, 1, True, True, vector) for name in ('/a', '/b') for n in (0, 1)]
    assert len({row.id for row in rows}) == 4 and all(len(row.id) == 36 for row in rows)
    assert rows[0].id == rows[0]._replace(start=5).id
