import pytest
import torch
from transformers import CLIPConfig

from mmclip4clip.checkpoints import Checkpoint, read

from . import plain


@pytest.fixture
def checkpoint(saved):
    return read(saved(plain.draw_openai()))[1]


def test_sizes_are_read_off_the_shapes(checkpoint):
    config = checkpoint.clip_config()
    assert config == dict(
        text_config=dict(
            hidden_size=128,
            vocab_size=60,
            max_position_embeddings=12,
            intermediate_size=512,
            num_hidden_layers=2,
            num_attention_heads=2,
            hidden_act='quick_gelu',
            layer_norm_eps=1e-5,
            bos_token_id=58,
            eos_token_id=59,
            pad_token_id=1,
        ),
        vision_config=dict(
            hidden_size=192,
            num_channels=3,
            patch_size=8,
            image_size=16,
            intermediate_size=768,
            num_hidden_layers=2,
            num_attention_heads=3,
            hidden_act='quick_gelu',
            layer_norm_eps=1e-5,
        ),
        projection_dim=128,
    )


def test_an_image_that_is_not_square_is_refused(checkpoint):
    key = 'backbone.clip.vision_model.embeddings.position_embedding.weight'
    checkpoint.state_dict[key] = torch.zeros(7, plain.VISION)
    with pytest.raises(ValueError, match='positions of 6 patches, expected a square number'):
        checkpoint.sizes()


@pytest.mark.parametrize(
    'keys, adapter',
    [
        ([], 'MeanAdapter'),
        (['adapter.lstm.bias_ih_l0'], 'SeqLSTMAdapter'),
        (['adapter.transformer.positions.weight'], 'SeqTransformerAdapter'),
        (['adapter.transformer.positions.weight', 'adapter.score.bias'], 'TightAdapter'),
        (['adapter.transformer.positions.weight', 'adapter.token_weight.0.bias'], 'WTIAdapter'),
        (['adapter.q_proj.bias', 'adapter.linear_proj.bias'], 'XPoolAdapter'),
        (['adapter.else'], 'an unknown adapter'),
    ],
)
def test_the_adapter_is_known_by_its_keys(keys, adapter):
    assert Checkpoint(dict.fromkeys(['backbone.clip.logit_scale', *keys])).adapter == adapter


def test_what_is_known_wins_over_the_keys():
    assert Checkpoint({}, settings=dict(adapter=dict(type='WTIAdapter'))).adapter == 'WTIAdapter'


def test_heads_of_the_user_are_taken(checkpoint):
    checkpoint.set_heads(text=None, vision=6)
    assert checkpoint.clip_config()['vision_config']['num_attention_heads'] == 6
    assert checkpoint.clip_config()['text_config']['num_attention_heads'] == 2


@pytest.mark.parametrize('heads', [0, -1, 5])
def test_heads_that_do_not_divide_the_width_are_refused(checkpoint, heads):
    with pytest.raises(
        ValueError,
        match=f'--vision-heads={heads} does not fit: the vision tower has an '
        'unknown number of heads and a width of 192',
    ):
        checkpoint.set_heads(vision=heads)


def test_heads_that_contradict_what_is_known_are_refused(checkpoint):
    checkpoint.set_heads(vision=6)
    with pytest.raises(ValueError, match='--vision-heads=3 does not fit: the vision tower has 6 heads'):
        checkpoint.set_heads(vision=3)


def test_a_config_tells_what_shapes_do_not(checkpoint):
    config = checkpoint.clip_config()
    config['text_config'] |= dict(num_attention_heads=4, eos_token_id=7, hidden_act='gelu')
    checkpoint.update_from_config(CLIPConfig(**config), 'a folder')
    text = checkpoint.clip_config()['text_config']
    assert (text['num_attention_heads'], text['eos_token_id'], text['hidden_act']) == (4, 7, 'gelu')
    config['text_config']['num_hidden_layers'] = 3
    with pytest.raises(ValueError, match='the config says text_config.num_hidden_layers=3, the weights 2'):
        checkpoint.update_from_config(CLIPConfig(**config), 'a folder')
