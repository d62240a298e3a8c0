"""Testing a model that generates captions, from the config to the files, without training one."""

import json
import sys

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from mmclip4clip.evaluation import caption_figures, read_dump
from mmclip4clip.models import CLIP4ClipRetriever

CAPTIONING = """
_base_ = './tiny.py'
model = dict(type='Echo')
caption_metrics = [dict(type='VideoCaptionMetric', java=False), dict(type='MovingShapesCaptionMetric')]
test_evaluator = [dict(type='VideoTextRetrievalMetric'), *caption_metrics]
default_hooks = dict(report=dict(page=None), captions=dict(type='CaptionReportHook', page=3, picture=3))
"""


class Echo(CLIP4ClipRetriever):
    """A captioner that repeats the first reference of a red thing, and says nothing of others."""

    def forward(self, inputs, data_samples=None, mode='tensor'):
        outputs = super().forward(inputs, data_samples, mode)
        for sample in outputs if mode == 'predict' else []:
            sample.set_field(sample.captions[0] if 'red' in sample.video_id else '', 'generated')
        return outputs


@pytest.fixture
def captioner(config, tmp_path):
    """A config and a checkpoint of such a model."""
    MODELS.register_module(name='Echo', force=True, module=Echo)
    path = tmp_path / 'captioning.py'
    path.write_text(CAPTIONING)
    torch.save(dict(state_dict=MODELS.build(Config.fromfile(path).model).state_dict()), tmp_path / 'c.pth')
    yield str(path)
    MODELS._module_dict.pop('Echo')


def test_one_test_gives_captions_and_retrieval(tool, captioner, tmp_path, capsys, monkeypatch):
    tool(
        'test.py',
        captioner,
        'c.pth',
        '--work-dir',
        't',
        '--dump',
        'result.pkl',
        '--cfg-options',
        'default_hooks.report.gallery=2',
    )
    (entry,) = json.loads((tmp_path / 't/metrics.json').read_text())
    assert {'retrieval/R1', 'caption/Bleu_4', 'caption/empty', 'shapes/all_right'} <= set(entry)
    assert 'caption/CIDEr' in next((tmp_path / 't').glob('*/vis_data/scalars.json')).read_text()
    log = next((tmp_path / 't').glob('*/*.log')).read_text()
    assert '│ text to video' in log and 'ROUGE-L ┃ CIDEr' in log
    assert (tmp_path / 't/captions/test.html').exists() and (tmp_path / 't/gallery/test.png').exists()

    records = read_dump(tmp_path / 'result.pkl')
    red = [r['generated'] == r['captions'][0] for r in records if 'red' in r['video_id']]
    assert all(red) and entry['shapes/all_right'] == 100 * len(red) / 16
    expected = caption_figures(
        {r['video_id']: r['captions'] for r in records},
        {r['video_id']: r['generated'] for r in records},
        java=False,
    ).figures
    expected = {f'caption/{k}': v for k, v in expected.items()} | {'caption/unreadable_videos': 0}
    assert {k: v for k, v in entry.items() if k.startswith('caption')} == expected

    capsys.readouterr()
    tool('analysis_tools/score_dump.py', 'result.pkl', '--no-java', '--json')
    offline = json.loads(capsys.readouterr().out)
    assert {k: v for k, v in offline.items() if '/' in k} == expected
    assert offline['R1'] == entry['retrieval/R1']
    tool('analysis_tools/score_dump.py', 'result.pkl', '--no-java')
    assert 'text to video' in (out := capsys.readouterr().out) and 'CIDEr' in out

    with monkeypatch.context() as without:
        without.setenv('PATH', str(tmp_path / 'nothing'))
        with pytest.raises(SystemExit, match='not scored: METEOR and the PTB tokenizer need Java.*--no-java'):
            tool('analysis_tools/score_dump.py', 'result.pkl', '--json')
    assert 'CIDEr' not in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, 'pycocoevalcap.cider.cider', None)
    with pytest.raises(SystemExit, match=r"not scored: scoring captions needs .*\[caption\]'"):
        tool('analysis_tools/score_dump.py', 'result.pkl')
    out = capsys.readouterr().out
    assert 'text to video' in out and 'CIDEr' not in out


def test_captions_can_be_all_that_is_measured(tool, captioner, tmp_path):
    tool(
        'test.py',
        captioner,
        'c.pth',
        '--work-dir',
        't',
        '--cfg-options',
        'test_evaluator.0.type=VideoCaptionMetric',
        'test_evaluator.0.java=False',
        'test_evaluator.0.prefix=only',
        'default_hooks.report.gallery=2',
    )
    (entry,) = json.loads((tmp_path / 't/metrics.json').read_text())
    assert entry['only/CIDEr'] == entry['caption/CIDEr'] and 'retrieval/R1' not in entry
    assert not (tmp_path / 't/gallery').exists()


def test_a_retriever_is_not_asked_for_captions(tool, captioner):
    with pytest.raises(KeyError, match='not a captioner'):
        tool('test.py', captioner, 'c.pth', '--cfg-options', 'model.type=CLIP4ClipRetriever')
