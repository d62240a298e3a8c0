"""Adapters that start from a text tower whose activation is not CLIP's QuickGELU."""

import pytest
import torch

from mmclip4clip.models import CLIPBackbone, SeqTransformerAdapter, TightAdapter, WTIAdapter

from . import plain

CASES = {
    'SeqTransformer': (SeqTransformerAdapter, {}, plain.seq_transformer),
    'Tight': (TightAdapter, dict(dropout=0.0), plain.tight),
    'WTI': (WTIAdapter, {}, plain.wti),
}
ACTIVATIONS = dict(gelu=plain.gelu, quick_gelu=plain.quick_gelu)


@pytest.mark.parametrize('layers', [1, 2])
@pytest.mark.parametrize('tower', ACTIVATIONS)
@pytest.mark.parametrize('case', CASES)
def test_scores_have_the_activation_of_the_tower_that_the_adapter_starts_from(tiny_clip, case, tower, layers):
    build, arguments, formula = CASES[case]
    tiny_clip['text_config']['hidden_act'] = tower
    adapter = build(width=32, num_layers=layers, num_heads=2, max_frames=8, **arguments).double()
    adapter.init_from_clip(CLIPBackbone(config=tiny_clip))
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    weights = {key: value.detach() for key, value in adapter.named_parameters()}
    text, frames = torch.randn(4, 32).double(), torch.randn(1, 3, 32).double()
    features = dict(tokens=text[None], text_mask=torch.ones(1, 4)) if adapter.uses_tokens else text[:1]
    scores = {
        name: formula(weights, text if adapter.uses_tokens else text[0], frames[0], 2, activation)
        for name, activation in ACTIVATIONS.items()
    }
    assert (scores['gelu'] - scores['quick_gelu']).abs() > 1e-5  # else nothing would be compared
    mask = torch.ones(1, 3)
    trained = adapter.similarity(features, adapter.encode(frames, mask))[0, 0]
    with torch.no_grad():  # another way to compute in the tight adapter
        tested = adapter.similarity(features, adapter.encode(frames, mask))[0, 0]
    torch.testing.assert_close(trained.detach(), scores[tower], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(tested, scores[tower], rtol=1e-10, atol=1e-10)


def test_a_random_start_keeps_quick_gelu(tiny_clip):
    tiny_clip['text_config']['hidden_act'] = 'gelu'
    adapter = SeqTransformerAdapter(width=32, num_layers=1, num_heads=2, max_frames=8, start='random')
    before = adapter.transformer.blocks[0].mlp.activation_fn
    adapter.init_from_clip(CLIPBackbone(config=tiny_clip))
    assert adapter.transformer.blocks[0].mlp.activation_fn is before
    torch.testing.assert_close(before(torch.tensor(1.0)), plain.quick_gelu(torch.tensor(1.0)))
