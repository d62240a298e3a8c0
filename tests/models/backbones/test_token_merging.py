"""Token merging against a computation in loops, and against the tower without it."""

import copy
import math

import numpy as np
import pytest
import torch

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.class_token_tower import ClassTokenBlock
from mmclip4clip.models.backbones.token_merging import match_tokens, merge_tokens

from ...encoders import KINDS, small_encoder
from .test_gradient_checkpointing import assert_identical, step

CONFIG = small_encoder('clip', side=64)  # 16 patches
CONFIG['vision_config'] = dict(CONFIG['vision_config'], num_hidden_layers=3)
RS = [5, [8, 4], [1, 0], [0, 6]]


def build_backbone(r=None, config=CONFIG, **options):
    torch.manual_seed(0)
    if r is not None:
        options['token_merging'] = dict(r=r)
    return CLIPBackbone(config=config, embedding_std=dict(text=0.5, vision=0.5), **options).eval()


def merge_by_hand(tokens, sizes, keys, count):
    """Average the ``count`` patches of odd places that are most like a patch of an even place."""
    pairs = []
    for a in range(1, len(tokens), 2):
        cosines = {
            b: keys[a] @ keys[b] / np.linalg.norm(keys[a]) / np.linalg.norm(keys[b])
            for b in range(2, len(tokens), 2)
        }
        best = max(cosines, key=cosines.get)
        pairs.append((cosines[best], a, best))
    groups = {place: [place] for place in range(len(tokens))}
    for _, a, b in sorted(pairs, reverse=True)[:count]:
        groups[b] += groups.pop(a)
    merged = [sum(sizes[i] * tokens[i] for i in g) / sum(sizes[i] for i in g) for g in groups.values()]
    return np.stack(merged), [sum(sizes[i] for i in g) for g in groups.values()]


def run_by_hand(block, tokens, sizes, count):
    """A block of one frame: each token counts as often in the attention as it has patches."""
    attention, normed = block.self_attn, block.layer_norm1(tokens)
    query, key, value = (p(normed).numpy() for p in (attention.q_proj, attention.k_proj, attention.v_proj))
    rows = []
    for q in query:
        parts = []
        for columns in np.split(np.arange(len(q)), attention.num_heads):
            logits = key[:, columns] @ q[columns] / math.sqrt(len(columns))
            weights = np.array(sizes) * np.exp(logits)
            parts.append(weights @ value[:, columns] / weights.sum())
        rows.append(np.concatenate(parts))
    tokens = tokens + attention.out_proj(torch.from_numpy(np.stack(rows)))
    keys = key.reshape(len(key), attention.num_heads, -1).mean(axis=1)
    merged, sizes = merge_by_hand(tokens.numpy(), sizes, keys, count)
    tokens = torch.from_numpy(merged)
    return tokens + block.mlp(block.layer_norm2(tokens)), sizes


@torch.no_grad()
@pytest.mark.parametrize('r', RS)
def test_features_are_those_of_a_computation_in_loops(r):
    backbone, images = build_backbone(r).double(), torch.randn(2, 3, 64, 64).double()
    found = backbone.encode_frames(images[:, None], torch.ones(2, 1))[:, 0]
    vision = build_backbone().double().clip.vision_model  # the same weights
    for image, feature in zip(images, found):
        tokens = vision.pre_layrnorm(vision.embeddings(image[None]))[0]
        sizes = [1] * len(tokens)
        for block, count in zip(vision.encoder.layers, [*(r if isinstance(r, list) else [r, r]), 0]):
            tokens, sizes = run_by_hand(block, tokens, sizes, count)
        assert sum(sizes) == 17 and sizes[0] == 1
        expected = backbone.clip.visual_projection(vision.post_layernorm(tokens[0]))
        torch.testing.assert_close(feature, expected, rtol=1e-6, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize('r', RS)
@pytest.mark.parametrize('kind', [kind for kind in KINDS if not kind.startswith('siglip')])
def test_merging_equal_patches_changes_nothing(kind, r):
    config = dict(small_encoder(kind, side=64))
    config['vision_config'] = dict(config['vision_config'], num_hidden_layers=3)
    plain, merging = build_backbone(None, config), build_backbone(r, config)
    for backbone in (plain, merging):
        backbone.clip.vision_model.embeddings.position_embedding.weight.zero_()
    frames, mask = torch.randn(2, 3, 3, 1, 1).expand(-1, -1, -1, 64, 64), torch.tensor([[1, 1, 1], [1, 0, 0]])
    expected = plain.encode_frames(frames, mask)
    torch.testing.assert_close(merging.encode_frames(frames, mask), expected, rtol=1e-4, atol=1e-5)
    frames = torch.randn(2, 3, 3, 64, 64)  # whose patches differ
    assert not torch.allclose(
        merging.encode_frames(frames, mask), plain.encode_frames(frames, mask), atol=1e-4
    )


@pytest.mark.parametrize('r', [0, [0, 0]])
def test_without_merging_the_tower_is_not_touched(r):
    plain, other = build_backbone(), build_backbone(r)
    assert [type(m) for m in other.modules()] == [type(m) for m in plain.modules()]
    assert other.token_merging == plain.token_merging == [] and build_backbone(3).token_merging == [3, 3]
    assert_identical(step(other.train()), step(plain.train()))


def test_patches_join_the_others_that_are_most_like_them():
    angles = torch.tensor([0.0, 10.0, 60.0, 55.0, 12.0, 200.0, 100.0]).deg2rad()  # the class token first
    keys = torch.stack([angles.cos(), angles.sin()], dim=-1)[None] * torch.rand(1, 7, 1).add(0.1)
    assert match_tokens(keys, 2).tolist() == [[0, 2, 1, 1, 2, 3, 4]]
    tokens, sizes = torch.arange(7.0).view(1, 7, 1), torch.tensor([[1.0, 3, 1, 2, 1, 5, 9]])
    merged, sizes = merge_tokens(tokens, sizes, match_tokens(keys, 2), 2)
    assert merged.flatten().tolist() == pytest.approx([0, (2 + 6) / 3, (3 + 4) / 4, 5, 6])
    assert sizes.tolist() == [[1, 3, 4, 5, 9]]


def test_gradients_are_those_of_finite_differences():
    encoder = build_backbone([3, 2]).double().clip.vision_model.encoder
    for parameter in encoder.parameters():
        parameter.data.mul_(20 if parameter.ndim > 1 else 1)  # so that patches differ in what they attend to
    tokens = torch.randn(1, 9, 32, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: encoder(x).last_hidden_state, tokens, fast_mode=True)
    encoder(tokens).last_hidden_state.square().sum().backward()
    assert (tokens.grad.abs().sum(dim=-1) > 0).all()  # merged patches included


OPTIONS = [{}, dict(linear_patch='3d'), dict(frozen_layers=2)]


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('options', OPTIONS)
def test_recomputed_blocks_have_the_same_gradients_and_merging_keeps_less(options, autocast):
    plain = step(build_backbone(5, **options).train(), autocast)
    again = step(build_backbone(5, gradient_checkpointing=True, **options).train(), autocast)
    assert_identical(again, plain)
    whole = step(build_backbone(**options).train(), autocast)
    assert plain[1].keys() == whole[1].keys() and again[2] < plain[2] < whole[2]


@pytest.mark.parametrize('autocast', [False, True])
def test_a_frame_does_not_depend_on_the_other_frames_of_its_batch(autocast):
    backbone, mask = build_backbone(5), torch.tensor([[1, 1, 1], [1, 0, 0]])
    frames = torch.randn(2, 3, 3, 64, 64)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        together = backbone.encode_frames(frames, mask)
        alone = [
            backbone.encode_frames(frames[v : v + 1, t : t + 1], mask[:1, :1]) for v, t in mask.nonzero()
        ]
    assert backbone.frames_are_independent and not together[1, 1:].any()
    torch.testing.assert_close(together[mask.bool()], torch.cat(alone)[:, 0], rtol=1e-4, atol=1e-5)


def test_weights_and_copies_are_those_without_merging():
    plain, merging = build_backbone(), build_backbone(5)
    assert list(merging.state_dict()) == list(plain.state_dict())
    assert [n for n, _ in merging.named_parameters()] == [n for n, _ in plain.named_parameters()]
    merging.load_state_dict(plain.state_dict())
    copied, frames, mask = copy.deepcopy(merging), torch.randn(1, 2, 3, 64, 64), torch.ones(1, 2)
    expected = merging.encode_frames(frames, mask)
    with torch.no_grad():
        for parameter in merging.parameters():  # the copy has its own
            parameter.zero_()
    assert torch.equal(copied.encode_frames(frames, mask), expected)


def test_lora_of_a_merging_tower_trains():
    pytest.importorskip('peft', reason='needs peft')
    backbone = build_backbone(5, lora=dict(towers='vision', r=2), gradient_checkpointing=True).train()
    gradients = step(backbone)[1]
    assert sum('vision_model.encoder' in name for name in gradients) == 3 * 4  # A and B of two layers a block
    assert all('lora_' in name for name in gradients if 'vision' in name)


@pytest.mark.skipif(not hasattr(torch.compiler, 'is_compiling'), reason='torch 2.2 takes no own gradient')
def test_the_tower_is_one_graph():
    encoder = build_backbone(5).clip.vision_model.encoder
    tokens = torch.randn(2, 17, 32)
    compiled = torch.compile(encoder, backend='eager', fullgraph=True)
    torch.testing.assert_close(compiled(tokens).last_hidden_state, encoder(tokens).last_hidden_state)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(r=9), r'r=9: block 0 has 16 patches and merges at most half of them, 8, got 9'),
        (dict(r=[8, 5]), r'r=\[8, 5\]: block 1 has 8 patches and merges at most half of them, 4, got 5'),
        (dict(r=-1), 'r must be a whole number from 0 on, or a list of 2 of them'),
        (dict(r=True), 'r must be a whole number from 0 on'),
        (dict(r=1.5), 'r must be a whole number .* got 1.5'),
        (dict(r='2'), "r must be a whole number .* got '2'"),
        (dict(r=[1, 1, 1]), r'one for each block of the vision tower but the last, got \[1, 1, 1\]'),
        (dict(rate=1), r" must be dict\(r=...\) without other keys, got {'rate': 1}"),
        ({}, r' must be dict\(r=...\) without other keys, got {}'),
    ],
)
def test_what_cannot_be_merged_is_refused(options, message):
    with pytest.raises(ValueError, match=f'model.backbone.token_merging.*{message}'):
        CLIPBackbone(config=CONFIG, token_merging=options)


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind.startswith('siglip')])
def test_a_tower_that_pools_all_patches_is_refused_by_name(kind):
    with pytest.raises(ValueError, match='token_merging needs .* class token.* got Siglip'):
        CLIPBackbone(config=small_encoder(kind, side=64), token_merging=dict(r=1))
    backbone = CLIPBackbone(config=small_encoder(kind, side=64), token_merging=dict(r=0))
    assert not any(isinstance(module, ClassTokenBlock) for module in backbone.modules())
