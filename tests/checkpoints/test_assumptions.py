import pytest
import torch

from mmclip4clip.checkpoints.assumptions import list_assumptions
from mmclip4clip.checkpoints.checkpoint import CLIP, PATCH, Checkpoint

FIXED = dict(
    text_config=dict(num_attention_heads=2, hidden_act='gelu'),
    vision_config=dict(num_attention_heads=2, hidden_act='gelu'),
)


def checkpoint(*adapter_keys, text_width=128, vision_width=192, **settings) -> Checkpoint:
    """A checkpoint with the keys of CLIP that say its sizes, and those of an adapter."""
    text, vision = f'{CLIP}text_model.', f'{CLIP}vision_model.'
    shapes = {
        PATCH: (vision_width, 3, 16, 16),
        f'{vision}embeddings.position_embedding.weight': (5, vision_width),
        f'{vision}encoder.layers.0.mlp.fc1.weight': (4 * vision_width, vision_width),
        f'{text}embeddings.token_embedding.weight': (60, text_width),
        f'{text}embeddings.position_embedding.weight': (12, text_width),
        f'{text}encoder.layers.0.mlp.fc1.weight': (4 * text_width, text_width),
        f'{CLIP}text_projection.weight': (64, text_width),
        **dict.fromkeys(adapter_keys, (1,)),
    }
    weights = {key: torch.zeros(shape, device='meta') for key, shape in shapes.items()}
    return Checkpoint(weights, settings=settings)


def options(given: Checkpoint) -> dict:
    return {item.option: item.argument for item in list_assumptions(given)}


def test_a_bare_clip_lacks_heads_and_activation():
    expected = {'--text-heads': '2', '--vision-heads': '3', '--activation': 'quick_gelu'}
    assert options(checkpoint()) == expected


def test_a_narrow_tower_has_one_head():
    assert options(checkpoint(text_width=32, vision_width=100))['--text-heads'] == '1'


@pytest.mark.parametrize(
    'settings, left',
    [
        (FIXED, []),
        (dict(text_config=FIXED['text_config']), ['--vision-heads', '--activation']),
        (dict(vision_config=FIXED['vision_config']), ['--text-heads', '--activation']),
        (dict(FIXED, text_config=dict(hidden_act='gelu')), ['--text-heads']),
        (dict(FIXED, vision_config=dict(num_attention_heads=4)), ['--activation']),
    ],
)
def test_only_what_is_unknown_of_a_tower_is_assumed(settings, left):
    assert list(options(checkpoint(**settings))) == left


@pytest.mark.parametrize(
    'key, value',
    [
        ('adapter.transformer.layers.0.self_attn.in_proj_weight', 'one every 64 channels'),
        ('adapter.linear_proj.weight', 'one'),  # X-Pool, whose attention has keys of its own
        ('adapter.lstm.weight_ih_l0', None),
        ('decoder.transformer.self_attn.weight', None),  # not of the adapter
    ],
)
def test_an_adapter_with_attention_lacks_its_heads(key, value):
    assumed = list_assumptions(checkpoint(key, **FIXED))
    assert [(item.option, item.value) for item in assumed] == ([('--adapter-heads', value)] if value else [])


@pytest.mark.parametrize('adapter', [dict(type='XPoolAdapter'), dict(num_heads=4)])
def test_a_known_adapter_lacks_nothing(adapter):
    """A config names the heads or leaves the default, and the option gives them alone."""
    given = checkpoint('adapter.linear_proj.weight', **FIXED, adapter=adapter)
    assert list_assumptions(given) == []


def test_giving_the_options_leaves_nothing_to_assume():
    given = checkpoint('adapter.linear_proj.weight')
    asked = options(given)
    given.set_heads(text=int(asked['--text-heads']), vision=int(asked['--vision-heads']))
    given.set_activation(asked['--activation'])
    given.set_adapter_heads(1)
    assert len(asked) == 4 and list_assumptions(given) == []
