import pytest
import torch
import torch.nn.functional as F

from mmclip4clip.models import CLIPBackbone, MeanAdapter, SeqTransformerAdapter


def plain_seq_transformer(adapter, frames, heads):
    """Compute seqTransf for one unpadded video (T, D) in float64, attention written out."""
    x = frames.double()
    h = x + adapter.transformer.positions.weight[: len(x)].double()
    width = h.shape[1]
    for block in adapter.transformer.blocks:
        w = {k: v.double() for k, v in block.state_dict().items()}

        def linear(inputs, name, w=w):
            return inputs @ w[f'{name}.weight'].T + w[f'{name}.bias']

        def norm(inputs, name, w=w):
            centerd = inputs - inputs.mean(1, keepdim=True)
            scaled = centerd / (centerd.pow(2).mean(1, keepdim=True) + 1e-12).sqrt()
            return scaled * w[f'{name}.weight'] + w[f'{name}.bias']

        n = norm(h, 'layer_norm1')
        q, k, v = (linear(n, f'self_attn.{p}_proj') for p in 'qkv')
        size, parts = width // heads, []
        for i in range(heads):
            part = slice(i * size, (i + 1) * size)
            weights = torch.softmax(q[:, part] @ k[:, part].T / size**0.5, dim=1)
            parts.append(weights @ v[:, part])
        h = h + linear(torch.cat(parts, 1), 'self_attn.out_proj')
        m = linear(norm(h, 'layer_norm2'), 'mlp.fc1')
        h = h + linear(m * torch.sigmoid(1.702 * m), 'mlp.fc2')
    unit = F.normalize(x + h, dim=1)
    return F.normalize(unit.mean(0), dim=0)


@pytest.fixture
def adapter():
    adapter = SeqTransformerAdapter(width=32, num_layers=2, num_heads=2, max_frames=8, start='random')
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return adapter


@pytest.mark.parametrize('lengths', [(6, 6), (6, 1), (2, 5)])
def test_equals_a_plain_computation_however_the_batch_is_padded(adapter, lengths):
    frames = torch.randn(2, 6, 32)
    mask = (torch.arange(6) < torch.tensor(lengths)[:, None]).long()
    videos = adapter.encode(frames * mask[..., None] + 50 * (1 - mask[..., None]), mask)['video']
    for video, clip, length in zip(videos, frames, lengths):
        expected = plain_seq_transformer(adapter, clip[:length], heads=2)
        torch.testing.assert_close(video.double(), expected, rtol=1e-5, atol=1e-5)


def test_order_matters_and_the_mean_does_not_see_it(adapter):
    frames, mask = torch.randn(1, 4, 32), torch.ones(1, 4)
    assert not torch.allclose(
        adapter.encode(frames, mask)['video'], adapter.encode(frames.flip(1), mask)['video'], atol=1e-3
    )
    torch.testing.assert_close(MeanAdapter().encode(frames, mask), MeanAdapter().encode(frames.flip(1), mask))


def test_padding_gets_no_gradient(adapter):
    frames = torch.randn(1, 4, 32, requires_grad=True)
    adapter.encode(frames, torch.tensor([[1, 1, 1, 0]]))['video'].sum().backward()
    assert frames.grad[0, 3].abs().sum() == 0
    assert frames.grad[0, :3].abs().sum() > 0


def test_starts_from_the_lowest_text_blocks_and_positions(tiny_clip):
    backbone = CLIPBackbone(config=tiny_clip)
    adapter = SeqTransformerAdapter(width=32, num_layers=1, num_heads=2, max_frames=24)
    adapter.init_from_clip(backbone)
    text = backbone.clip.text_model
    assert torch.equal(adapter.transformer.positions.weight, text.embeddings.position_embedding.weight)
    for name, value in text.encoder.layers[0].state_dict().items():
        assert torch.equal(adapter.transformer.blocks[0].state_dict()[name], value), name
    assert adapter.transformer.blocks[0].layer_norm1.eps == 1e-12


@pytest.mark.parametrize(
    'wrong', [dict(width=64), dict(num_layers=3), dict(num_heads=4), dict(max_frames=25)]
)
def test_says_what_does_not_fit_the_text_tower(tiny_clip, wrong):
    arguments = dict(dict(width=32, num_layers=2, num_heads=2, max_frames=24), **wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SeqTransformerAdapter(**arguments).init_from_clip(CLIPBackbone(config=tiny_clip))


def test_random_start_takes_nothing_from_the_backbone(tiny_clip):
    adapter = SeqTransformerAdapter(width=64, start='random')
    before = {k: v.clone() for k, v in adapter.state_dict().items()}
    adapter.init_from_clip(CLIPBackbone(config=tiny_clip))
    assert all(torch.equal(v, before[k]) for k, v in adapter.state_dict().items())


def test_refuses_bad_arguments_and_too_many_frames(adapter):
    with pytest.raises(ValueError, match='num_heads=3'):
        SeqTransformerAdapter(width=32, num_heads=3)
    with pytest.raises(ValueError, match="start must be .* got 'clip'"):
        SeqTransformerAdapter(start='clip')
    with pytest.raises(ValueError, match='9 frames .* max_frames=8'):
        adapter.encode(torch.randn(1, 9, 32), torch.ones(1, 9))
