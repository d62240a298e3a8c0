import os
import pickle

import numpy as np
import pytest
import torch
from mmaction.registry import METRICS

from mmclip4clip.evaluation import read_dump


def build(path, **kwargs):
    return METRICS.build(dict(type='RetrievalDump', out_file_path=str(path), **kwargs))


def test_what_is_written_is_read_again(tmp_path):
    metric = build(tmp_path / 'r.pkl', top=2)
    rows = ([[0.9, 0.1, 0.2], [0.3, 0.8, 0.4]], [[0.5, 0.5, 0.1]], [[0.2, 0.3, 0.6]])
    metric.process(
        None,
        [
            dict(
                video_id=f'v{i}',
                filename='f',
                captions=[f'c{i}'] * len(r),
                video_features=torch.ones(4),
                text_features=torch.ones(len(r), 4),
                scores=torch.tensor(r),
            )
            for i, r in enumerate(rows)
        ],
    )
    assert metric.evaluate(3) == {}
    records = read_dump(tmp_path / 'r.pkl')
    assert [r['video_id'] for r in records] == ['v0', 'v1', 'v2']
    assert records[0]['captions'] == ['c0', 'c0']
    assert [r['ranks'].tolist() for r in records] == [[1, 3], [2], [1]]
    assert [[name for name, _ in caption] for caption in records[0]['top']] == [['v0', 'v2'], ['v1', 'v2']]
    assert records[0]['top'][0][0][1] == pytest.approx(0.9)
    assert np.array_equal(records[2]['video_features'], np.ones(4))
    assert records[0]['scores'].shape == (2, 3)


def test_a_folder_that_does_not_exist_is_refused_at_construction(tmp_path):
    with pytest.raises(FileNotFoundError, match='create .*none first'):
        build(tmp_path / 'none' / 'r.pkl')


def test_a_refused_test_leaves_no_file_behind(tmp_path):
    build(tmp_path / 'r.pkl')
    assert list(tmp_path.iterdir()) == []


def test_only_pickles_are_written(tmp_path):
    with pytest.raises(ValueError, match='r.json'):
        build(tmp_path / 'r.json')


class Harmful:
    def __reduce__(self):
        return os.mkdir, ('harmed',)


class Forged:
    class Dtype:
        def __reduce__(self):
            return np.dtype, ('V8', False, True), (3, '|', None, ('a',), {'a': (np.dtype('O'), 0)}, 8, 1, 0)

    def __reduce__(self):
        reconstruct = np.zeros(1).__reduce__()[0]
        return reconstruct, (np.ndarray, (0,), b'b'), (1, (1,), self.Dtype(), False, b'AAAAAAAA')


@pytest.mark.parametrize(
    'content',
    [
        pickle.dumps([Harmful()]),
        pickle.dumps([dict(scores=Forged())]),
        b'',
        b'text',
        pickle.dumps({}),
        pickle.dumps([1]),
        pickle.dumps([dict(scores=1)]),
        pickle.dumps([dict(scores=np.zeros(9))])[:-20],
    ],
)
def test_anything_else_is_refused_and_nothing_runs(tmp_path, content, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'bad.pkl').write_bytes(content)
    with pytest.raises(ValueError, match='bad.pkl is not a dump'):
        read_dump(tmp_path / 'bad.pkl')
    assert not (tmp_path / 'harmed').exists()
