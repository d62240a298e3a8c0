"""Every head through the tools, from training to the dump."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmclip4clip.evaluation import read_dump, score_rows

BLOCKS = "width=32, num_layers=2, num_heads=2, max_frames=8, start='random'"
HEADS = {'Mean': '', 'SeqLSTM': 'width=32', 'Tight': BLOCKS, 'WTI': BLOCKS, 'XPool': 'width=32'}


def with_head(config: str, head: str) -> str:
    path = Path(config).with_name(f'{head}.py')
    path.write_text(
        f"_base_ = '{config}'\nmodel = dict(adapter=dict(_delete_=True, type='{head}Adapter'"
        f'{", " * bool(HEADS[head])}{HEADS[head]}))\n'
    )
    return str(path)


def figures(folder: Path) -> dict:
    return json.loads((folder / 'metrics.json').read_text())[-1]


@pytest.mark.parametrize('head', HEADS)
def test_each_head_trains_and_its_dump_scores_as_the_log_does(
    tool, config, tmp_path, capsys, head, monkeypatch
):
    monkeypatch.setattr(score_rows, 'KEPT', 0)  # but a dump keeps the scores in memory
    config = with_head(config, head)
    tool('train.py', config, '--work-dir', 'w', '--cfg-options', 'train_cfg.max_epochs=1')
    tool('test.py', config, 'w/epoch_1.pth', '--work-dir', 't', '--dump', 'result.pkl')
    logs = [next((tmp_path / folder).glob('*/*.log')).read_text() for folder in 'wt']
    stored = [f'go to a temporary file in {tmp_path / "w"}' in log for log in logs]
    assert stored == [head in ('Tight', 'WTI', 'XPool'), False]
    trained, tested = figures(tmp_path / 'w'), figures(tmp_path / 't')
    assert trained['retrieval/MnR'] == pytest.approx(tested['retrieval/MnR'])
    scores = np.concatenate([record['scores'] for record in read_dump(tmp_path / 'result.pkl')])
    assert scores.shape == (48, 16) and np.isfinite(scores).all() and scores.std() > 0
    capsys.readouterr()
    tool('analysis_tools/score_dump.py', 'result.pkl', '--json')
    assert json.loads(capsys.readouterr().out)['MnR'] == pytest.approx(tested['retrieval/MnR'])


def test_reranking_is_reported_as_approximate_and_with_long_lists_equals_the_exact_figures(
    tool, config, tmp_path
):
    config = with_head(config, 'Tight')
    tool('train.py', config, '--work-dir', 'w', '--no-validate', '--cfg-options', 'train_cfg.max_epochs=1')
    exact, short, full = (tmp_path / name for name in ('exact', 'short', 'full'))
    tool('test.py', config, 'w/epoch_1.pth', '--work-dir', exact)
    tool('test.py', config, 'w/epoch_1.pth', '--work-dir', short, '--cfg-options', 'test_cfg.rerank_top=1')
    tool('test.py', config, 'w/epoch_1.pth', '--work-dir', full, '--cfg-options', 'test_cfg.rerank_top=16')
    assert figures(short)['rerank/top'] == 1 and figures(short)['rerank/captions'] == 48
    assert 0 < figures(short)['rerank/missed'] < 48
    log = next(short.glob('*/*.log')).read_text()
    assert 'approximate metrics: only the best 1 ' in log and 'of 48 captions were not shortlisted' in log
    expected = {k: v for k, v in figures(exact).items() if k.startswith('retrieval/')}
    assert {k: figures(full)[k] for k in expected} == pytest.approx(expected)
    assert figures(full)['rerank/missed'] == 0
    assert not any(k.startswith('rerank/') for k in figures(exact))
