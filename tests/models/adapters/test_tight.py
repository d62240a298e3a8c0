import pytest
import torch

from mmclip4clip.models import CLIPBackbone, TightAdapter

BLOCKS = dict(width=16, num_heads=2, max_frames=4, start='random')
VARIANTS = ('paper', 'reference')


@pytest.mark.parametrize('variant', VARIANTS)
def test_autocast_that_takes_logarithms_in_single_precision_can_train_it(monkeypatch, variant):
    # As on a GPU: there autocast runs logsumexp in single precision, on the CPU it does not.
    original = torch.Tensor.logsumexp
    monkeypatch.setattr(torch.Tensor, 'logsumexp', lambda x, *a, **k: original(x.float(), *a, **k))
    adapter = TightAdapter(num_layers=3, variant=variant, **BLOCKS)
    text, frames = torch.randn(3, 16), torch.randn(3, 4, 16)
    with torch.autocast('cpu', torch.bfloat16):
        similarity = adapter.similarity(text, adapter.encode(frames, torch.ones(3, 4)))
    similarity.sum().backward()
    assert similarity.dtype == torch.float32
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in adapter.parameters())


def test_the_size_of_the_blocks_changes_nothing():
    whole, parts = (TightAdapter(num_layers=2, pairs_at_once=n, **BLOCKS).eval() for n in (100, 5))
    parts.load_state_dict(whole.state_dict())
    text, videos = dict(text=torch.randn(4, 16)), whole.encode(torch.randn(3, 4, 16), torch.ones(3, 4))
    torch.testing.assert_close(parts.similarity(text, videos), whole.similarity(text, videos))


def test_single_pairs_are_those_of_the_whole_matrix():
    adapter = TightAdapter(num_layers=2, **BLOCKS).eval()
    text, videos = dict(text=torch.randn(4, 16)), adapter.encode(torch.randn(3, 4, 16), torch.ones(3, 4))
    some = adapter.pair_similarity(text, videos, torch.tensor([11, 0, 5]))  # n * 3 + v
    torch.testing.assert_close(some, adapter.similarity(text, videos)[[3, 0, 1], [2, 0, 2]])


def test_order_matters():
    adapter, text = TightAdapter(num_layers=2, **BLOCKS).eval(), torch.randn(1, 16)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    frames, mask = torch.randn(1, 4, 16), torch.ones(1, 4)
    forward, backward = (adapter.similarity(text, adapter.encode(f, mask)) for f in (frames, frames.flip(1)))
    assert (forward - backward).abs().item() > 1e-4


def test_the_variant_of_the_paper_has_two_type_embeddings_and_no_norm_before_its_linear_layers():
    paper, reference = (dict(TightAdapter(variant=v, **BLOCKS).named_parameters()) for v in VARIANTS)
    assert set(paper) - set(reference) == {'types.weight'} and paper['types.weight'].shape == (2, 16)
    assert set(reference) - set(paper) == {'pool_norm.weight', 'pool_norm.bias'}
    assert set(dict(TightAdapter(**BLOCKS).named_parameters())) == set(reference)  # checkpoints have these


@pytest.mark.parametrize('changed', [0, 1])
def test_each_type_embedding_counts(changed):
    adapter = TightAdapter(variant='paper', **BLOCKS).eval()
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    text, videos = torch.randn(2, 16), adapter.encode(torch.randn(2, 4, 16), torch.ones(2, 4))
    before = adapter.similarity(text, videos)
    torch.nn.init.normal_(adapter.types.weight[changed])
    assert (adapter.similarity(text, videos) - before).abs().min() > 1e-4


def test_the_variant_of_the_paper_starts_from_the_text_tower_too(tiny_clip):
    backbone = CLIPBackbone(config=tiny_clip)
    adapter = TightAdapter(width=32, num_layers=1, num_heads=2, max_frames=23, variant='paper')
    types = adapter.types.weight.clone()
    adapter.init_from_clip(backbone)
    text = backbone.clip.text_model
    assert torch.equal(adapter.transformer.positions.weight, text.embeddings.position_embedding.weight)
    block = adapter.transformer.blocks[0].state_dict()
    assert all(torch.equal(block[k], v) for k, v in text.encoder.layers[0].state_dict().items())
    assert torch.equal(adapter.types.weight, types) and 0.01 < types.std() < 0.03


def test_an_unknown_variant_is_refused():
    with pytest.raises(
        ValueError, match="variant of TightAdapter must be 'reference' or 'paper', got 'code'"
    ):
        TightAdapter(variant='code')


@pytest.mark.parametrize('wrong', [dict(num_layers=0), dict(pairs_at_once=0)])
def test_bad_arguments_are_named(wrong):
    with pytest.raises(ValueError, match='num_layers and pairs_at_once of TightAdapter must be at least 1'):
        TightAdapter(**wrong)


def test_too_many_frames_are_refused():
    with pytest.raises(ValueError, match='5 frames does not fit max_frames=4'):
        TightAdapter(**BLOCKS).encode(torch.randn(1, 5, 16), torch.ones(1, 5))
