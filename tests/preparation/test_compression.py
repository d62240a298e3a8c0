import os

import av
import cv2
import numpy as np
import pytest

from mmclip4clip.preparation.compression import compress_video, scaled_size

from ..videos import at_rate, cut, turn, write_frames, write_sound


def decode(path):
    with av.open(str(path)) as container:
        return [(float(f.time), f.to_ndarray(format='rgb24')) for f in container.decode(video=0)]


def nearest(frames, picture):
    """The number of the frame that a picture is most like."""
    return int(np.argmin([np.abs(f.astype(int) - picture).mean() for _, f in frames]))


def test_frames_are_those_that_the_video_shows_at_these_seconds(tmp_path):
    source = write_frames(tmp_path / 'a.mp4', at_rate(12.0, 48))
    done = compress_video(source, tmp_path / 'out/a.mp4', fps=3.0)
    old, new = decode(source), decode(tmp_path / 'out/a.mp4')
    assert done.frames == len(new) == 12
    assert [second for second, _ in new] == pytest.approx([i / 3 for i in range(12)], abs=1e-3)
    assert [nearest(old, picture) for _, picture in new] == list(range(0, 48, 4))
    assert done.before == source.stat().st_size and done.after == (tmp_path / 'out/a.mp4').stat().st_size


def test_a_rate_that_varies_keeps_its_seconds(tmp_path):
    seconds = np.r_[at_rate(24.0, 24), 1 + at_rate(6.0, 12)]  # a second at 24, two at 6 frames per second
    source = write_frames(tmp_path / 'a.mp4', seconds)
    compress_video(source, tmp_path / 'b.mp4', fps=3.0)
    old, new = decode(source), decode(tmp_path / 'b.mp4')
    expected = [max(i for i, s in enumerate(seconds) if s <= k / 3 + 1e-6) for k in range(len(new))]
    assert [nearest(old, picture) for _, picture in new] == expected


def test_no_video_is_made_faster_or_larger(tmp_path):
    source = write_frames(tmp_path / 'a.mp4', at_rate(2.0, 8))
    assert compress_video(source, tmp_path / 'b.mp4', fps=3.0).frames == 8
    (_, picture), *_ = decode(tmp_path / 'b.mp4')
    assert picture.shape == (48, 64, 3)


@pytest.mark.parametrize(
    'size, expected',
    [
        ((640, 480), (298, 224)),
        ((480, 640), (224, 298)),
        ((320, 176), (320, 176)),
        ((1920, 1080), (398, 224)),
    ],
)
def test_the_shape_stays_and_sides_are_even(size, expected):
    assert scaled_size(*size, 224) == expected


def test_a_truncated_video_is_compressed_as_far_as_it_goes(tmp_path):
    source = write_frames(tmp_path / 'a.mkv', at_rate(12.0, 96))
    done = compress_video(cut(source, tmp_path / 'cut.mkv', 0.5), tmp_path / 'b.mp4', fps=3.0)
    assert 0 < done.frames < 24


def test_what_has_no_video_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match='sound.mp4 has no video'):
        compress_video(write_sound(tmp_path / 'sound.mp4'), tmp_path / 'out/sound.mp4')
    assert os.listdir(tmp_path / 'out') == []


def test_nothing_half_written_stays_behind(tmp_path, monkeypatch):
    from mmclip4clip.preparation import compression

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(compression, '_decode', stop)
    with pytest.raises(KeyboardInterrupt):
        compress_video(write_frames(tmp_path / 'a.mp4', at_rate(4.0, 8)), tmp_path / 'out/a.mp4')
    assert os.listdir(tmp_path / 'out') == []


def test_a_video_taken_with_a_turned_camera_is_upright(tmp_path):
    source = write_frames(tmp_path / 'a.mp4', at_rate(3.0, 6))
    compress_video(turn(source, tmp_path / 'turned.mp4'), tmp_path / 'out.mp4')
    show = cv2.VideoCapture(str(tmp_path / 'turned.mp4'))
    show.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # the default of most versions
    expected = show.read()[1][..., ::-1].astype(int)
    picture = decode(tmp_path / 'out.mp4')[0][1]
    assert picture.shape == expected.shape == (64, 48, 3)
    error = np.abs(expected - picture).mean()
    assert error < np.abs(expected[::-1, ::-1] - picture).mean() / 3
