from pathlib import Path

import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.checkpoints import Checkpoint, model_config, read, summary, usage
from mmclip4clip.checkpoints.description import adapter_config

from . import plain


@pytest.mark.parametrize(
    'head, config',
    [
        ('meanP', dict(type='MeanAdapter')),
        ('seqLSTM', dict(type='SeqLSTMAdapter', width=128)),
        (
            'seqTransf',
            dict(
                type='SeqTransformerAdapter',
                width=128,
                num_layers=3,
                num_heads=2,
                max_frames=12,
                start='random',
            ),
        ),
        (
            'tightTransf',
            dict(type='TightAdapter', width=128, num_layers=3, num_heads=2, max_frames=11, start='random'),
        ),
    ],
)
def test_the_config_of_the_adapter_is_read_off_the_shapes(saved, head, config):
    assert adapter_config(read(saved(plain.draw_reference(head)))[1]) == config


def test_an_adapter_that_could_start_from_the_text_tower_says_nothing_of_its_start(saved, build):
    weights = plain.draw_reference('seqTransf')
    weights = {k: v for k, v in weights.items() if 'Clip.resblocks.2' not in k}
    checkpoint = read(saved(weights))[1]
    assert 'start' not in adapter_config(checkpoint)
    assert build(checkpoint).adapter.transformer.start == 'clip_text'


def test_a_random_start_is_kept_where_it_is_known(saved):
    weights = {k: v for k, v in plain.draw_reference('seqTransf').items() if 'Clip.resblocks.2' not in k}
    checkpoint = read(saved(weights))[1]
    checkpoint.settings['adapter'] = dict(type='SeqTransformerAdapter', start='random')
    assert adapter_config(checkpoint)['start'] == 'random'


def test_vit_b_32_needs_no_config(saved):
    with torch.device('meta'):
        model = CLIPModel(CLIPConfig())
    checkpoint = Checkpoint({f'backbone.clip.{k}': v for k, v in model.state_dict().items()})
    assert (
        model_config(checkpoint)
        == """model = dict(
    adapter=dict(type='MeanAdapter'),
    backbone=dict(type='CLIPBackbone'),
    type='CLIP4ClipRetriever')
"""
    )
    assert (
        'at 224 pixels; vision 12 x 768 with 12 heads; text 12 x 512 with 8 heads; 49408 tokens; D 512'
        in summary(checkpoint)
    )


@pytest.mark.parametrize(
    'head, patch, kind, expected',
    [
        (
            'seqTransf',
            '3d',
            'reference',
            '--init_model out --sim_header seqTransf --loose_type '
            '--cross_num_hidden_layers 3 --linear_patch 3d',
        ),
        (
            'tightTransf',
            '2d',
            'reference',
            '--init_model out --sim_header tightTransf --cross_num_hidden_layers 3 --linear_patch 2d',
        ),
        (
            'seqLSTM',
            '2d',
            'reference',
            '--init_model out --sim_header seqLSTM --loose_type --linear_patch 2d',
        ),
        (
            'meanP',
            '2d',
            'transformers',
            "backbone=dict(type='CLIPBackbone', pretrained='out')  # the tokenizer is not in it",
        ),
        ('meanP', '2d', 'openai', "clip.load('out')"),
        ('meanP', '2d', 'mmaction', "adapter = dict(type='SimpleMeanAdapter')\n"),
        (
            'seqTransf',
            '2d',
            'mmaction',
            """adapter = dict(
    num_segs=12,
    transformer_heads=2,
    transformer_layers=3,
    transformer_width=128,
    type='TransformerAdapter')
""",
        ),
    ],
)
def test_what_loads_the_result_is_told(saved, head, patch, kind, expected):
    assert usage(read(saved(plain.draw_reference(head, patch)))[1], kind, Path('out')) == expected
