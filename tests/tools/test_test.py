import json

import numpy as np
import pytest
import torch

from mmclip4clip.evaluation import read_dump

from .conftest import query_bank

FAST = ('--cfg-options', 'train_cfg.max_epochs=1')


@pytest.fixture
def checkpoint(tool, config):
    tool('train.py', config, '--work-dir', 'w', '--no-validate', *FAST)
    return 'w/epoch_1.pth'


def test_the_dump_holds_what_it_should_and_scores_as_the_log_does(tool, config, checkpoint, tmp_path, capsys):
    tool('test.py', config, checkpoint, '--work-dir', 't', '--dump', 'result.pkl')
    (entry,) = json.loads((tmp_path / 't/metrics.json').read_text())
    assert entry['stage'] == 'test' and entry['checkpoint'] == checkpoint
    assert 'retrieval/R1' in next((tmp_path / 't').glob('*/vis_data/scalars.json')).read_text()

    records = read_dump(tmp_path / 'result.pkl')
    assert len(records) == 16
    for number, record in enumerate(records):
        assert len(record['captions']) == len(record['ranks']) == len(record['top']) == 3
        assert record['video_features'].shape == (32,) and record['text_features'].shape == (3, 32)
        assert all(len(best) == 10 for best in record['top'])
        text = record['text_features'] / np.linalg.norm(record['text_features'], axis=1, keepdims=True)
        np.testing.assert_allclose(record['scores'][:, number], text @ record['video_features'], atol=1e-6)

    capsys.readouterr()
    tool('analysis_tools/score_dump.py', 'result.pkl', '--json')
    offline = json.loads(capsys.readouterr().out)
    assert {f'retrieval/{k}': v for k, v in offline.items()} == {
        k: v for k, v in entry.items() if k.startswith('retrieval/')
    }
    tool('analysis_tools/score_dump.py', 'result.pkl')
    assert 'text to video' in capsys.readouterr().out


def test_post_processing_is_computed_offline_as_in_the_log(
    tool, config, checkpoint, shapes, tmp_path, capsys
):
    tool('test.py', config, checkpoint, '--work-dir', 'plain', '--dump', 'plain.pkl')
    tool(
        'test.py',
        config,
        checkpoint,
        '--work-dir',
        't',
        '--dump',
        'result.pkl',
        '--cfg-options',
        *query_bank(shapes),
        'test_evaluator.temperature=10',
    )
    (plain,), (entry,) = (json.loads((tmp_path / n / 'metrics.json').read_text()) for n in ('plain', 't'))
    assert entry.pop('run') != plain.pop('run')
    assert {k: entry[k] for k in plain} == plain  # the plain figures are there as ever
    assert {k for k in entry if k.endswith('R1')} - set(plain) == {
        f'retrieval/{k}R1' for k in ('dsl_', 'dsl_v2t_', 'qb_')
    }
    log = next((tmp_path / 't').glob('*/*.log')).read_text()
    assert 'query bank: 20 of the 48 captions' in log and '│ text to video, QB-Norm ' in log

    records = read_dump(tmp_path / 'result.pkl')
    assert all(record['bank_scores'].shape == (20,) for record in records)
    both = ('--post-processing', 'dual_softmax', 'qb_norm', '--json')
    capsys.readouterr()
    tool('analysis_tools/score_dump.py', 'result.pkl', *both, '--temperature', 10)
    offline = json.loads(capsys.readouterr().out)
    assert {f'retrieval/{k}': v for k, v in offline.items()} == {
        k: v for k, v in entry.items() if k.startswith('retrieval/')
    }
    with pytest.raises(ValueError, match='needs the scores of a query bank'):
        tool('analysis_tools/score_dump.py', 'plain.pkl', *both)


def test_qb_norm_without_a_bank_is_refused_before_anything_is_decoded(
    tool, config, checkpoint, shapes, monkeypatch
):
    from mmaction.datasets.transforms import DecordDecode

    decoded = []
    monkeypatch.setattr(DecordDecode, 'transform', lambda self, r: decoded.append(r))
    with pytest.raises(ValueError, match='query_bank=dict'):
        tool('test.py', config, checkpoint, '--cfg-options', query_bank(shapes)[-1])
    assert decoded == []


def test_every_video_is_decoded_and_encoded_once(tool, config, checkpoint, monkeypatch):
    from mmaction.datasets.transforms import DecordDecode

    from mmclip4clip.models import CLIPBackbone

    decoded, encoded = [], []
    decode, encode = DecordDecode.transform, CLIPBackbone.encode_frames
    monkeypatch.setattr(
        DecordDecode, 'transform', lambda self, r: decoded.append(r['filename']) or decode(self, r)
    )
    monkeypatch.setattr(
        CLIPBackbone, 'encode_frames', lambda self, f, m: encoded.append(len(f)) or encode(self, f, m)
    )
    tool('test.py', config, checkpoint, '--work-dir', 't', '--cfg-options', 'default_hooks.report.gallery=0')
    assert len(decoded) == len(set(decoded)) == 16
    assert encoded == [5, 5, 5, 1]


def test_a_dump_into_no_folder_is_refused_before_anything_else(tool, config):
    with pytest.raises(FileNotFoundError, match='the folder of the dump none/r.pkl does not exist'):
        tool('test.py', config, 'no.pth', '--dump', 'none/r.pkl')
    with pytest.raises(ValueError, match='must be a .pkl'):
        tool('test.py', config, 'no.pth', '--dump', 'r.json')


def test_checkpoints_that_do_not_fit_are_refused(tool, config, checkpoint):
    with pytest.raises(RuntimeError, match='(?s)does not match .*wrong shape'):
        tool('test.py', config, checkpoint, '--cfg-options', 'model.adapter.max_frames=9')
    torch.save(dict(state_dict=dict(other=torch.zeros(1))), 'other.pth')
    with pytest.raises(RuntimeError, match='(?s)other.pth does not match .*missing keys, 1 unexpected'):
        tool('test.py', config, 'other.pth')
    with pytest.raises(FileNotFoundError, match='no.pth'):
        tool('test.py', config, 'no.pth')


def test_another_loop_is_refused_with_the_cure(tool, config, checkpoint):
    with pytest.raises(KeyError, match='VideoTextTestLoop'):
        tool('test.py', config, checkpoint, '--cfg-options', 'test_cfg.type=TestLoop')


def test_nan_is_refused_and_not_ranked(tool, config, checkpoint):
    content = torch.load(checkpoint, weights_only=True)
    content['state_dict']['backbone.clip.text_projection.weight'][:] = float('nan')
    torch.save(dict(state_dict=content['state_dict']), 'nan.pth')
    with pytest.raises(ValueError, match='768 similarities are NaN or infinite'):
        tool('test.py', config, 'nan.pth')
