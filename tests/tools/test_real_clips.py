"""The MSR-VTT config on real video files, many captions a video."""
import json

import pytest

from .conftest import ROOT

MSRVTT = ('configs/retrieval/clip4clip/'
          'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py')
CONFIG = """
_base_ = '{base}'
train_dataloader = dict(
    batch_size=14, num_workers=1, persistent_workers=False,
    dataset=dict(data_root='{data}', ann_file='captions.json', data_prefix=dict(video=''),
                 caption_mode='all', pipeline=_base_.train_pipeline))
val_dataloader = dict(
    num_workers=1, persistent_workers=False,
    dataset=dict(data_root='{data}', ann_file='captions.json', data_prefix=dict(video='')))
test_dataloader = val_dataloader
"""


@pytest.fixture
def clips(data, tool, tmp_path):
    """The MSR-VTT config with the real MSVD clips, a tokenizer of their captions, random weights."""
    tool('train_tokenizer.py', data / 'clips/msvd/captions.json', tmp_path / 'tokenizer')
    path = tmp_path / 'msvd-clips.py'
    path.write_text(CONFIG.format(base=ROOT / MSRVTT, data=data / 'clips/msvd'))
    pipelines = [f'{part}_dataloader.dataset.pipeline.7.tokenizer={tmp_path}/tokenizer'
                 for part in ('train', 'val', 'test')]
    return str(path), ['model.backbone.pretrained=None', 'env_cfg.dist_cfg.backend=gloo', *pipelines]


def last_entry(folder):
    return json.loads((folder / 'metrics.json').read_text())[-1]


def ceiling(data) -> float:
    """R@1 in percent of a perfect model: a caption that two videos share can be right for none."""
    captions = [(c.strip().lower(), v) for v, own in
                json.loads((data / 'clips/msvd/captions.json').read_text()).items() for c in own]
    shared = [c for c, v in captions if any(c == d and v != w for d, w in captions)]
    return 100 * (1 - len(shared) / len(captions))


def test_a_small_model_overfits_the_real_clips(clips, tool, data, tmp_path):
    config, options = clips
    tool('train.py', config, '--seed', 0, '--work-dir', 'w', '--cfg-options', *options,
         'model.backbone.frozen_layers=-1', 'train_cfg.max_epochs=40', 'train_cfg.val_interval=40',
         'param_scheduler=None', 'optim_wrapper.optimizer.lr=2e-3',
         'model.backbone.embedding_std.text=0.2', 'model.backbone.embedding_std.vision=0.5',
         'model.backbone.config.text_config.hidden_size=64',
         'model.backbone.config.text_config.num_hidden_layers=2',
         'model.backbone.config.text_config.num_attention_heads=2',
         'model.backbone.config.vision_config.hidden_size=64',
         'model.backbone.config.vision_config.num_hidden_layers=2',
         'model.backbone.config.vision_config.num_attention_heads=2',
         'default_hooks.checkpoint.interval=40',
         *(f'{part}_dataloader.dataset.pipeline.2.clip_len=2' for part in ('train', 'val', 'test')))
    entry = last_entry(tmp_path / 'w')
    assert ceiling(data) == pytest.approx(99.47, abs=.01)
    assert entry['retrieval/R1'] == pytest.approx(ceiling(data))
    assert entry['retrieval/R5'] == entry['retrieval/R10'] == 100
    assert entry['retrieval/v2t_R1'] == 100


@pytest.mark.long
def test_the_real_size_trains_and_tests(clips, command, data, tmp_path):
    config, options = clips
    few = [f'{part}_dataloader.dataset.pipeline.2.clip_len=1' for part in ('train', 'val', 'test')]
    command(ROOT / 'tools/train.py', config, '--seed', 0, '--work-dir', 'w', '--no-validate',
            '--cfg-options', *options, *few, 'train_cfg.max_epochs=1',
            'default_hooks.checkpoint.save_optimizer=False',
            'default_hooks.checkpoint.save_param_scheduler=False')
    command(ROOT / 'tools/test.py', config, 'w/epoch_1.pth', '--work-dir', 't', '--dump', 'r.pkl',
            '--cfg-options', *options, *few)
    entry = last_entry(tmp_path / 't')
    assert entry['retrieval/R10'] > 0 and (tmp_path / 'r.pkl').stat().st_size > 0
    assert (tmp_path / 'w/epoch_1.pth').stat().st_size > 500e6  # ViT-B/32 has 151 million weights
