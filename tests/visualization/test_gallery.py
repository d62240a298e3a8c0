import json
from pathlib import Path

import cv2
import numpy as np

from mmclip4clip.evaluation import VideoRecord
from mmclip4clip.visualization import draw_gallery, gallery
from mmclip4clip.visualization.gallery import read_strip, video_name

from ..videos import at_rate, decode_in_order, write_frames


def records(shapes, count=3):
    entries = json.loads((shapes / 'test.json').read_text())[:count]
    scores = np.random.default_rng(0).random((len(entries), 3, count))
    return [
        VideoRecord(e['video'], str(shapes / 'videos' / e['video']), e['captions'], scores=s)
        for e, s in zip(entries, scores)
    ]


def test_a_picture_is_drawn_with_right_answers_framed_in_green(shapes, tmp_path):
    shown = records(shapes)
    shown[0].captions[0] = r'pays $\foo$ and gets $'  # no formula
    draw_gallery(tmp_path / 'g.png', shown, [(0, 0), (2, 1)], [1, 3], top=2)
    picture = cv2.imread(str(tmp_path / 'g.png'))[..., ::-1].astype(int)
    assert picture.shape[0] > 100 and picture.shape[1] > 400
    green = np.abs(picture - (0x1A, 0x98, 0x50)).max(axis=2) < 10
    assert green.sum() > 100


def test_a_strip_shows_frames_from_first_to_last(shapes):
    record = records(shapes)[0]
    strip = read_strip(record.filename, num_frames=2)
    assert strip.shape == (96, 192, 3)
    assert not np.array_equal(strip[:, :94], strip[:, 96:190])
    assert (strip[:, 94:96] == 255).all()
    window = read_strip(record.filename, window=(0, 0.1), num_frames=2)
    assert np.array_equal(window[:, :94], window[:, 96:190])


def test_a_strip_ends_with_its_window_also_where_decord_cannot_seek(tmp_path):
    path = write_frames(tmp_path / 'a.avi', at_rate(30, 60), b_frames=0)
    frames = decode_in_order(path)
    last = read_strip(str(path), window=(1, 1.5), num_frames=2)[:, -128:]
    assert np.array_equal(last, cv2.resize(frames[44], (128, 96)))


def test_an_unreadable_video_does_not_cost_the_picture(shapes, tmp_path):
    broken = records(shapes)
    (tmp_path / 'empty.mp4').touch()
    broken[0].filename = str(tmp_path / 'empty.mp4')
    assert read_strip(broken[0].filename) is None
    draw_gallery(tmp_path / 'g.png', broken, [(0, 0)], [1])
    assert (tmp_path / 'g.png').stat().st_size > 0


def test_each_strip_is_titled_with_its_file_name(shapes, tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(gallery, 'draw_strip', lambda axis, strip, title, color: titles.append(title))
    shown = records(shapes)
    shown[0].window = (0.5, None)
    draw_gallery(tmp_path / 'g.png', shown, [(0, 0), (2, 1)], [1, 3], top=2)
    assert len(titles) == 6
    assert titles[0].startswith('right video, ') and titles[0].endswith(f'{shown[0].filename[-10:]} 0.5- s')
    order = np.argsort(-shown[2].scores[1])
    for place, title in enumerate(titles[4:]):
        assert f'rank {place + 1}, ' in title and Path(shown[order[place]].filename).name in title


def test_a_long_name_keeps_its_begin_and_end():
    record = VideoRecord('v', f'/data/begin{"x" * 100}end.mp4', ['a'])
    name = video_name(record)
    assert name.startswith('begin') and name.endswith('end.mp4') and len(name) <= 45
