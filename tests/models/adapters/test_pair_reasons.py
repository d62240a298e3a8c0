"""The parts of a score, each against a formula in float64 or the head's score of other videos."""

import numpy as np
import pytest
import torch

from mmclip4clip.models import (
    MeanAdapter,
    SeqLSTMAdapter,
    SeqTransformerAdapter,
    TightAdapter,
    WTIAdapter,
    XPoolAdapter,
)
from mmclip4clip.models.adapters.base import PooledAdapter
from mmclip4clip.models.adapters.pair_reasons import frames_alone

D = 16
BLOCKS = dict(width=D, num_layers=2, num_heads=2, max_frames=8, start='random')
HEADS = {
    'Mean': lambda: MeanAdapter(),
    'SeqLSTM': lambda: SeqLSTMAdapter(width=D),
    'SeqTransformer': lambda: SeqTransformerAdapter(**BLOCKS),
    'Tight': lambda: TightAdapter(**BLOCKS),
    'Tight of the paper': lambda: TightAdapter(**BLOCKS, variant='paper'),
    'WTI': lambda: WTIAdapter(**BLOCKS),
    'XPool': lambda: XPoolAdapter(width=D, num_heads=2),
}
REAL, TOKENS = 4, 3


def drawn(name):
    """A head with random weights, the features of a caption, the frames of a video, and their reasons."""
    adapter = HEADS[name]().eval()
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    text = dict(text=torch.randn(1, D))
    if adapter.uses_tokens:
        text = dict(tokens=torch.randn(1, TOKENS, D), text_mask=torch.ones(1, TOKENS))
    mask = torch.ones(1, REAL, dtype=torch.long)
    frames = adapter.contextualize(torch.randn(1, REAL, D), mask)
    return adapter, text, frames, adapter.explain(text, frames, mask)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize('name', HEADS)
def test_the_score_is_the_one_of_the_head_and_padding_is_in_no_part(name):
    adapter, text, frames, reasons = drawn(name)
    mask = torch.ones(1, REAL, dtype=torch.long)
    videos = adapter.pool(frames, mask)
    torch.testing.assert_close(reasons.score, adapter.similarity(text, videos)[0, 0])
    padded = torch.cat([frames, torch.full((1, 3, D), 50.0)], dim=1)
    if adapter.uses_tokens:
        text = dict(
            tokens=torch.cat([text['tokens'], torch.full((1, 2, D), 50.0)], dim=1),
            text_mask=torch.tensor([[1] * TOKENS + [0, 0]]),
        )
    found = adapter.explain(text, padded, torch.tensor([[1] * REAL + [0] * 3]))
    for part, expected in zip(found, reasons, strict=True):
        assert (part is None) == (expected is None)
        if part is not None:
            torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-5)
    assert found.frame_scores.shape == (REAL,)


@pytest.mark.parametrize('name', ['Mean', 'SeqLSTM', 'SeqTransformer'])
def test_weighted_cosines_of_the_frames_add_up_to_the_score_of_a_pooled_head(name):
    _, text, frames, reasons = drawn(name)
    caption, each = unit(text['text'][0].double().numpy()), unit(frames[0].double().numpy())
    np.testing.assert_allclose(reasons.frame_scores, each @ caption, atol=1e-6)
    factor = 1 / (REAL * np.linalg.norm(each.mean(axis=0)))
    np.testing.assert_allclose(reasons.frame_weights, [factor] * REAL, rtol=1e-5)
    total = float(reasons.frame_weights.double() @ reasons.frame_scores.double())
    assert abs(total - float(reasons.score)) < 1e-6
    assert abs(unit(each.mean(axis=0)) @ caption - total) < 1e-6


def test_matches_of_words_and_frames_add_up_to_the_score_of_wti():
    adapter, text, frames, reasons = drawn('WTI')
    tokens, each = unit(text['tokens'][0].double().numpy()), unit(frames[0].double().numpy())
    np.testing.assert_allclose(reasons.cosines, tokens @ each.T, atol=1e-6)

    def softmax(network, features):
        hidden = np.maximum(features @ network[0].weight.numpy().T + network[0].bias.numpy(), 0)
        scores = np.exp(hidden @ network[2].weight.numpy()[0] + network[2].bias.numpy())
        return scores / scores.sum()

    of_tokens = softmax(adapter.token_weight, text['tokens'][0].double().numpy())
    of_frames = softmax(adapter.frame_weight, frames[0].double().numpy())
    np.testing.assert_allclose(reasons.token_weights, of_tokens, rtol=1e-4)
    np.testing.assert_allclose(reasons.frame_weights, of_frames, rtol=1e-4)
    np.testing.assert_allclose(reasons.frame_scores, (tokens @ each.T).max(axis=0), atol=1e-6)
    total = of_tokens @ (tokens @ each.T).max(axis=1) + of_frames @ (tokens @ each.T).max(axis=0)
    assert abs(total / 2 - float(reasons.score)) < 1e-6


@pytest.mark.parametrize('name', ['Mean', 'SeqTransformer', 'XPool'])
def test_the_score_of_a_frame_is_that_of_a_video_of_it_alone(name):
    adapter, text, frames, reasons = drawn(name)
    for number in range(REAL):
        alone = adapter.pool(frames[:, number : number + 1], torch.ones(1, 1))
        torch.testing.assert_close(adapter.similarity(text, alone)[0, 0], reasons.frame_scores[number])


def test_the_attention_of_x_pool_weighs_the_frames():
    adapter, text, frames, reasons = drawn('XPool')

    def project(name, x):
        normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        normed = normed * adapter.input_norm.weight.numpy() + adapter.input_norm.bias.numpy()
        layer = getattr(adapter, name)
        return (normed @ layer.weight.numpy().T + layer.bias.numpy()).reshape(-1, 2, D // 2)

    query = project('q_proj', text['text'][0].double().numpy()[None])[0]
    keys = project('k_proj', frames[0].double().numpy())
    scores = np.exp(np.einsum('hc,thc->th', query, keys) / np.sqrt(D // 2))
    expected = (scores / scores.sum(axis=0)).mean(axis=1)
    np.testing.assert_allclose(reasons.frame_weights, expected, rtol=1e-4)
    assert abs(float(reasons.frame_weights.sum()) - 1) < 1e-6


@pytest.mark.parametrize('name', ['Tight', 'Tight of the paper'])
def test_tight_reads_a_frame_alone_at_its_own_position(name):
    adapter, text, frames, reasons = drawn(name)
    for number in range(REAL):
        moved = HEADS[name]().eval()
        moved.load_state_dict(adapter.state_dict())
        moved.transformer.positions.weight[1] = adapter.transformer.positions.weight[1 + number]
        alone = moved.pool(frames[:, number : number + 1], torch.ones(1, 1))
        torch.testing.assert_close(
            moved.similarity(text, alone)[0, 0], reasons.frame_scores[number], rtol=1e-4, atol=1e-5
        )
    single = adapter.explain(text, frames[:, :1], torch.ones(1, 1, dtype=torch.long))
    torch.testing.assert_close(single.frame_scores[0], single.score)


def test_an_adapter_that_pools_otherwise_has_frames_without_weights():
    class FirstFrame(PooledAdapter):
        def pool(self, frames, frame_mask):
            return dict(video=torch.nn.functional.normalize(frames[:, 0], dim=-1))

    text, frames = dict(text=torch.randn(1, D)), torch.randn(1, 3, D)
    reasons = FirstFrame().explain(text, frames, torch.ones(1, 3))
    assert reasons.frame_weights is None
    torch.testing.assert_close(reasons.frame_scores[0], reasons.score)


@pytest.mark.parametrize('frames, mask', [((2, 3, D), 1), ((1, 3, D), 0)], ids=['two videos', 'no frame'])
def test_other_than_one_video_with_frames_is_refused(frames, mask):
    with pytest.raises(ValueError, match='expected the frames of one video'):
        frames_alone(torch.ones(frames), torch.full(frames[:2], mask))
