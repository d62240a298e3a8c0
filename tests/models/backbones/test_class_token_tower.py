"""The class token of the last block alone, against the whole tower of ``transformers``."""

import copy

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.class_token_tower import ClassTokenBlock
from mmclip4clip.models.backbones.families import FAMILIES

from ...encoders import KINDS, small_encoder

# Before transformers 5, the attention of these families has weights in float32 whatever the inputs have.
ROUNDED = ('chinese_clip', 'altclip') if int(transformers.__version__.split('.')[0]) < 5 else ()
WITH_CLASS_TOKEN = [kind for kind in KINDS if not kind.startswith('siglip')]


def build_both(kind, **options):
    """A backbone in float64, and the model of ``transformers`` with the same weights."""
    config = small_encoder(kind, side=64)
    torch.manual_seed(0)
    backbone = CLIPBackbone(config=config, embedding_std=dict(text=0.5, vision=0.5), **options).double()
    theirs = FAMILIES[kind].model_class(copy.deepcopy(backbone.clip.config)).double()
    theirs.load_state_dict(backbone.clip.state_dict())
    return backbone.eval(), theirs.eval()


def their_features(model, images):
    return model.visual_projection(model.vision_model(pixel_values=images).pooler_output)


@pytest.mark.parametrize('kind', WITH_CLASS_TOKEN)
def test_features_and_gradients_are_those_of_transformers(kind):
    ours, theirs = build_both(kind)
    assert sum(isinstance(module, ClassTokenBlock) for module in ours.modules()) == 2
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    found, expected = (
        ours.encode_frames(images[:, None], torch.ones(3, 1))[:, 0],
        their_features(theirs, images),
    )
    rtol, atol = (1e-5, 1e-6) if kind in ROUNDED else (1e-9, 1e-11)
    torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)
    weight = torch.randn_like(expected)  # a sum of squares alone hides an exchange
    for features in (found, expected):
        (features * weight).sum().backward()
    named = dict(theirs.named_parameters())
    gradients = {n: p.grad for n, p in ours.clip.named_parameters() if p.grad is not None}
    assert gradients.keys() == {n for n, p in named.items() if p.grad is not None}
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, named[name].grad, rtol=rtol, atol=atol)


@pytest.mark.parametrize('kind', WITH_CLASS_TOKEN)
def test_names_and_order_of_weights_are_those_of_transformers(kind):
    ours, theirs = build_both(kind)
    assert [n for n, _ in ours.clip.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert list(ours.clip.state_dict()) == list(theirs.state_dict())


@torch.no_grad()
@pytest.mark.parametrize('kind', WITH_CLASS_TOKEN)
def test_the_tower_returns_the_class_token_alone(kind):
    tower = build_both(kind)[0].clip.vision_model
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    output = tower(pixel_values=images, output_hidden_states=True)
    assert output.last_hidden_state.shape == (3, 1, 32) and not output.hidden_states


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind.startswith('siglip')])
def test_a_tower_that_pools_all_patches_is_not_touched(kind):
    backbone = CLIPBackbone(config=small_encoder(kind, side=64))
    assert not any(isinstance(module, ClassTokenBlock) for module in backbone.modules())


@torch.no_grad()
def test_the_last_block_reads_all_tokens_and_computes_one():
    config = transformers.CLIPConfig()
    with torch.device('meta'):
        tower = CLIPBackbone(config={}).clip.vision_model
        whole = transformers.CLIPModel(config).vision_model
    counts = []
    for model in (tower, whole):
        with FlopCounterMode(display=False) as counter, torch.device('meta'):
            model(pixel_values=torch.zeros(1, 3, 224, 224))
        counts.append(counter.get_total_flops())
    width, tokens, patch = 768, 50, 3 * 32 * 32
    linear = 2 * width * width  # of one token
    block, last = tokens * 12 * linear, (tokens * 2 + 10) * linear
    attention = 4 * tokens * width  # of one query, in both products
    expected = 2 * 49 * patch * width + 11 * (block + tokens * attention) + last + attention
    assert counts == [expected, expected - last - attention + block + tokens * attention]
