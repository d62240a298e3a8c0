import os
import runpy
import socket
import sys
from pathlib import Path

import pytest
import torch

from mmclip4clip.compat import apply_patches

from ..forks import begin_anew, fork_tool, wait_for

ROOT = Path(__file__).parents[2]

CONFIG = """
_base_ = '{root}/configs/_base_/default_runtime.py'
tower = dict(hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2)
model = dict(
    type='CLIP4ClipRetriever',
    backbone=dict(
        type='CLIPBackbone',
        config=dict(
            text_config=dict(**tower, vocab_size=1000, max_position_embeddings=24, bos_token_id=0,
                             eos_token_id=1, pad_token_id=1),
            vision_config=dict(**tower, image_size=64, patch_size=32),
            projection_dim=32)),
    adapter=dict(type='SeqTransformerAdapter', width=32, num_layers=1, num_heads=2, max_frames=8,
                 start='random'))
pipeline = [
    dict(type='DecordInit'), dict(type='SampleAtRate', fps=2, max_frames=4), dict(type='DecordDecode'),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='TokenizeCaptions', tokenizer='{shapes}/tokenizer', max_words=24),
    dict(type='PackVideoCaptions')]
dataset = dict(type='VideoCaptionDataset', data_root='{shapes}', data_prefix=dict(video='videos'),
               pipeline=pipeline)
train_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='GroupedSampler'),
    dataset=dict(**dataset, ann_file='train.json', caption_mode='random'))
val_dataloader = dict(
    batch_size=5, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file='test.json', test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='VideoTextRetrievalMetric')
test_evaluator = val_evaluator
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
val_cfg = dict(type='VideoTextValLoop')
test_cfg = dict(type='VideoTextTestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=4, by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=16)
env_cfg = dict(dist_cfg=dict(backend='gloo'))
default_hooks = dict(checkpoint=dict(save_best='retrieval/R1', rule='greater', max_keep_ckpts=-1),
                     report=dict(gallery=0, page=1, picture=1))  # drawing more takes longer than training
randomness = dict(seed=3)
"""


@pytest.fixture
def config(shapes, tmp_path) -> str:
    """A config of a tiny model on the test's moving shapes, with a seed of its own, without data workers."""
    path = tmp_path / 'tiny.py'
    path.write_text(CONFIG.format(root=ROOT, shapes=shapes))
    return str(path)


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """Run a tool in this process, as the command line would."""
    monkeypatch.chdir(tmp_path)

    def tool(name, *args):
        begin_anew(monkeypatch.setattr)
        monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        return runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')

    yield tool
    torch.use_deterministic_algorithms(False)
    os.environ.pop('LOCAL_RANK', None)


@pytest.fixture
def command(tmp_path):
    """Run a tool in a process of its own, or in several, and return what it printed."""

    def command(name, *args, processes=1, end=0):
        log, port = tmp_path / 'printed.log', free_port()
        log.unlink(missing_ok=True)
        args = [*args[:1], '--launcher', 'pytorch', *args[1:]] if processes > 1 else args
        ends = wait_for(
            [
                fork_tool(ROOT / 'tools' / name, args, log, rank, processes, port, tmp_path)
                for rank in range(processes)
            ]
        )
        assert ends == [end] * processes, log.read_text()[-3000:]
        return log.read_text()

    return command


def free_port() -> str:
    """Find a port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def weights(path) -> dict:
    """Read the weights of a checkpoint."""
    apply_patches()  # mmengine's checkpoints hold more than torch allows
    return torch.load(path, weights_only=True)['state_dict']


def query_bank(shapes) -> list:
    """Give the --cfg-options of a test with both kinds of post-processing."""
    bank = dict(
        ann_file=f'{shapes}/train.json',
        tokenizer=f'{shapes}/tokenizer',
        max_words=24,
        max_captions=20,
        batch_size=7,
    )
    return [
        *(f'test_cfg.query_bank.{key}={value}' for key, value in bank.items()),
        'test_evaluator.post_processing=[dual_softmax,qb_norm]',
    ]
