import json

import numpy as np
import pytest
from PIL import Image

from mmclip4clip.visualization import curves
from mmclip4clip.visualization.curves import RunCurves, draw_curves, read_losses


def write(folder, start, *entries, end=''):
    path = folder / start / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(entry) + '\n' for entry in entries) + end)


def test_losses_of_all_starts_are_one_curve_and_the_later_start_counts(tmp_path):
    write(tmp_path, '20260101_1', dict(loss=4.0, loss_t2v=1.5, lr=1.0, iter=10), dict(loss=3.0, iter=20))
    write(tmp_path, '20260102_1', dict(loss=2.0, iter=20), {'retrieval/R1': 50.0}, dict(loss=1.0, iter=30))
    assert read_losses(tmp_path) == dict(loss=[(10, 4.0), (20, 2.0), (30, 1.0)], loss_t2v=[(10, 1.5)])


@pytest.mark.parametrize('line', ['{"loss": 1.0, "it', '{"loss": "x", "iter": 3}', '{"loss": 1.0}', '[]'])
def test_a_line_that_cannot_be_read_is_skipped_with_a_warning(tmp_path, monkeypatch, line):
    said = []
    monkeypatch.setattr(curves, 'print_log', lambda text, *args: said.append(text))
    write(tmp_path, 'a', dict(loss=4.0, iter=10), end=line)
    assert read_losses(tmp_path) == dict(loss=[(10, 4.0)])
    assert len(said) == (line != '[]') and all('scalars.json: line 2 is skipped' in text for text in said)


def test_a_folder_without_a_log_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='not the work dir of a training'):
        read_losses(tmp_path)


def test_each_run_has_its_color_in_each_panel(tmp_path):
    entries = [
        dict(stage='val', iter=5, R1=10.0),
        dict(stage='val', iter=9, R1=30.0),
        dict(stage='test', R1=20.0),
    ]
    run = RunCurves('costs $5', dict(loss=[(1, 4.0), (9, 1.0)]), entries)
    assert run.values('R1', 'val') == [(5, 10.0), (9, 30.0)] and run.values('R5', 'val') == []
    draw_curves(tmp_path / 'two.png', [run, RunCurves('b', {}, [])], ['R1', 'R5', 'R10'])
    pixels = np.asarray(Image.open(tmp_path / 'two.png').convert('RGB')).reshape(-1, 3)
    blue = (pixels == (31, 119, 180)).all(axis=1).sum()  # matplotlib's first color
    assert blue > 500
