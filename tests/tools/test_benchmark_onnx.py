import json
import runpy
import shutil

import numpy as np
import pytest

from ..encoders import save_encoder
from .conftest import ROOT


class Model:
    """Two videos of one group, which it tells apart or not."""

    def __init__(self, scores) -> None:
        self.scores = np.array(scores)

    def encode_videos(self, files, show_progress=None):
        return [file.rsplit('/', 1)[1] for file in files]

    def similarity(self, captions, videos):
        assert captions == ['one', 'uno', 'two', 'three'] and videos == ['a.mp4', 'b.mp4', 'c.mp4']
        return self.scores


def test_recall_is_that_of_all_videos_and_within_groups(tmp_path):
    measure = runpy.run_path(str(ROOT / 'tools/analysis_tools/benchmark_onnx.py'))['measure_recall']
    (tmp_path / 'videos').mkdir()
    for name in 'abc':
        (tmp_path / f'videos/{name}.mp4').touch()
    entries = [
        dict(video='a.mp4', captions=['one', 'uno'], group='x'),
        dict(video='b.mp4', captions=['two'], group='x'),
        dict(video='c.mp4', captions=['three']),
    ]
    (tmp_path / 'a.json').write_text(json.dumps(entries))
    scores = [[0.9, 0.1, 0.0], [0.2, 0.3, 0.1], [0.1, 0.4, 0.8], [0.0, 0.0, 1.0]]
    found = measure(dict(some=Model(scores)), tmp_path / 'videos', tmp_path / 'a.json')
    assert found == dict(some=dict(R1=50.0, group_R1=66.67))


@pytest.mark.long
def test_backends_are_timed_side_by_side(tool, capsys, shapes, tmp_path):
    encoder = save_encoder(tmp_path / 'clip', 'clip', ['a red circle'])
    (tmp_path / 'videos').mkdir()
    for name in sorted((shapes / 'videos').rglob('*.mp4'))[:3]:
        shutil.copy(name, tmp_path / 'videos')
    options = ('--starts', 1, '--queries', 2, '--json')
    tool('analysis_tools/benchmark_onnx.py', encoder, tmp_path / 'videos', *options)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) == {'torch', 'onnx', 'int8', 'load'}
    assert figures['onnx']['search_cpu_s'] < figures['torch']['search_cpu_s']
    assert figures['onnx']['videos_max_difference'] < 1e-4
