import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch.nn.functional import normalize
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.evaluation import read_dump

MEAN = "_base_ = '{config}'\nmodel = dict(adapter=dict(_delete_=True, type='MeanAdapter'){more})"


@pytest.fixture
def mean(config, tmp_path):
    """A config of the mean head, with more settings of the model."""

    def mean(more=''):
        (tmp_path / 'mean.py').write_text(MEAN.format(config=config, more=more))
        return 'mean.py'

    return mean


@pytest.fixture
def clip(config, shapes, tmp_path) -> str:
    """A folder with a CLIP, and its tokenizer."""
    torch.manual_seed(5)
    settings = Config.fromfile(config).model.backbone.config
    CLIPModel(CLIPConfig(**settings.to_dict())).save_pretrained(tmp_path / 'clip')
    shutil.copytree(shapes / 'tokenizer', tmp_path / 'clip', dirs_exist_ok=True)
    return 'clip'


def test_a_pretrained_clip_is_tested_as_it_is(tool, mean, clip, tmp_path):
    tool('test.py', mean(), '--work-dir', 't', '--dump', 'd.pkl', '--cfg-options', f'clip={clip}')
    records, model = read_dump(tmp_path / 'd.pkl'), CLIPModel.from_pretrained(tmp_path / clip).eval()
    (entry,) = json.loads((tmp_path / 't/metrics.json').read_text())
    assert len(records) == 16 and entry['retrieval/R10'] > 0
    from mmaction.registry import DATASETS, MODELS

    cfg = Config.fromfile(tmp_path / 'mean.py')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    preprocess = MODELS.build(dict(type='VideoCaptionPreprocessor'))
    by_id = {record['video_id']: record for record in records}
    for item in (dataset[0], dataset[9]):
        frames = preprocess(pseudo_collate([item]))['inputs']['frames'].reshape(-1, 3, 64, 64)
        with torch.no_grad():
            features = model.get_image_features(frames)
        features = getattr(features, 'pooler_output', features)
        expected = normalize(normalize(features, dim=-1).mean(dim=0), dim=-1)
        record = by_id[item['data_samples'].video_id]
        torch.testing.assert_close(torch.tensor(record['video_features']), expected, rtol=1e-4, atol=1e-5)


def test_a_head_with_parameters_needs_a_checkpoint(tool, config, clip):
    with pytest.raises(ValueError, match='untrained parameters.* adapter.') as error:
        tool('test.py', config, '--work-dir', 't', '--cfg-options', f'clip={clip}')
    assert 'CLIP4ClipRetriever has' in str(error.value) and 'Give the checkpoint' in str(error.value)


def test_a_random_clip_needs_a_checkpoint(tool, mean):
    with pytest.raises(ValueError, match='needs a pretrained CLIP, but model.backbone is random'):
        tool('test.py', mean(), '--work-dir', 't')


def test_the_clip_of_a_checkpoint_is_pretrained_too(tool, mean, clip, tmp_path):
    weights = CLIPModel.from_pretrained(tmp_path / clip).state_dict()
    torch.save({f'backbone.clip.{key}': value for key, value in weights.items()}, tmp_path / 'clip.pth')
    tool('test.py', mean(), '--work-dir', 'a', '--dump', 'a.pkl', '--cfg-options', f'clip={clip}')
    start = ", backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='clip.pth'))"
    tool('test.py', mean(start), '--work-dir', 'b', '--dump', 'b.pkl')
    for one, other in zip(read_dump(Path('a.pkl')), read_dump(Path('b.pkl'))):
        assert (one['scores'] == other['scores']).all() and (one['ranks'] == other['ranks']).all()


def test_load_from_of_the_config_is_the_checkpoint(tool, config, tmp_path):
    options = ('--cfg-options', 'train_cfg.max_epochs=1')
    tool('train.py', config, '--work-dir', 'w', '--no-validate', *options)
    (tmp_path / 'own.py').write_text(f"_base_ = '{config}'\nload_from = 'w/epoch_1.pth'")
    tool('test.py', 'own.py', '--work-dir', 't')
    assert json.loads((tmp_path / 't/metrics.json').read_text())[0]['checkpoint'] == 'w/epoch_1.pth'
