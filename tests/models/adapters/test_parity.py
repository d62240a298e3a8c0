"""Every similarity calculator against its formula, written out in float64: scores, loss and all gradients.

Scores and loss in both precisions; gradients in double, where an error of the
formula cannot hide in the rounding of sums that nearly cancel.
"""

import pytest
import torch

from mmclip4clip.models import (
    MeanAdapter,
    SeqLSTMAdapter,
    SeqTransformerAdapter,
    SymmetricContrastiveLoss,
    TightAdapter,
    WTIAdapter,
    XPoolAdapter,
)

from . import plain

D, HEADS = 16, 2
BLOCKS = dict(width=D, num_heads=HEADS, max_frames=8, start='random')
CASES = {
    'Mean': (MeanAdapter, {}, plain.mean),
    'SeqLSTM': (SeqLSTMAdapter, dict(width=D), plain.seq_lstm),
    'SeqTransformer': (SeqTransformerAdapter, dict(BLOCKS, num_layers=2), plain.seq_transformer),
    'Tight, 1 block': (TightAdapter, dict(BLOCKS, num_layers=1, dropout=0.0), plain.tight),
    'Tight, 2 blocks': (TightAdapter, dict(BLOCKS, num_layers=2, dropout=0.0), plain.tight),
    'Tight, 3 blocks': (TightAdapter, dict(BLOCKS, num_layers=3, dropout=0.0, pairs_at_once=4), plain.tight),
    'Tight of the paper, 1 block': (
        TightAdapter,
        dict(BLOCKS, num_layers=1, dropout=0.0, variant='paper'),
        plain.tight_of_the_paper,
    ),
    'Tight of the paper, 3 blocks': (
        TightAdapter,
        dict(BLOCKS, num_layers=3, dropout=0.0, pairs_at_once=4, variant='paper'),
        plain.tight_of_the_paper,
    ),
    'WTI': (WTIAdapter, dict(BLOCKS, num_layers=2, pairs_at_once=4), plain.wti),
    'WTI, no blocks': (WTIAdapter, dict(width=D, num_layers=0), plain.wti),
    'XPool': (XPoolAdapter, dict(width=D, dropout=0.0, pairs_at_once=4), plain.xpool),
    'XPool, 2 heads': (XPoolAdapter, dict(width=D, dropout=0.0, num_heads=HEADS), plain.xpool),
}
LENGTHS = {'full': (3, 3, 3), 'padded': (3, 1, 2), 'one frame': (1, 1, 1)}
SCALE = 3.0


def draw(adapter, lengths, dtype):
    """Draw all parameters, three captions and three videos, what is padded with rubbish."""
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    frames, longest = torch.randn(3, max(lengths), D), max(lengths)
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    frames = torch.where(mask.bool()[..., None], frames, torch.tensor(50.0)).to(dtype).requires_grad_()
    if not adapter.uses_tokens:
        return torch.randn(3, D).to(dtype).requires_grad_(), None, frames, mask
    text_mask = (torch.arange(4) < torch.tensor([4, 1, 3])[:, None]).long()
    tokens = torch.where(text_mask.bool()[..., None], torch.randn(3, 4, D), torch.tensor(50.0))
    return tokens.to(dtype).requires_grad_(), text_mask, frames, mask


def ours(adapter, text, text_mask, frames, mask):
    features = text if text_mask is None else dict(tokens=text, text_mask=text_mask)
    similarity = adapter.similarity(features, adapter.encode(frames, mask))
    loss = sum(SymmetricContrastiveLoss()(SCALE * similarity, torch.arange(3)).values())
    loss.backward()
    return similarity, loss


def theirs(formula, weights, text, text_mask, frames, mask):
    lengths = None if text_mask is None else text_mask.sum(1)
    similarity = torch.stack(
        [
            torch.stack(
                [
                    formula(
                        weights,
                        text[n] if lengths is None else text[n, : lengths[n]],
                        frames[v, : mask[v].sum()],
                        HEADS,
                    )
                    for v in range(3)
                ]
            )
            for n in range(3)
        ]
    )
    loss = plain.loss(similarity, SCALE)
    loss.backward()
    return similarity, loss


def assert_close(ours, theirs, relative):
    error = (ours.double() - theirs).norm() / theirs.norm()
    assert error <= relative, f'relative error {error:.1e}'


@pytest.mark.parametrize('lengths', LENGTHS)
@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('dtype, relative', [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_scores_loss_and_gradients_equal_the_formula(case, lengths, dtype, relative):
    build, arguments, formula = CASES[case]
    adapter = build(**arguments).to(dtype).train()
    text, text_mask, frames, mask = draw(adapter, LENGTHS[lengths], dtype)
    weights = {k: v.detach().double().requires_grad_() for k, v in adapter.named_parameters()}
    plain_text, plain_frames = (x.detach().double().requires_grad_() for x in (text, frames))
    if 'XPool' in case and 'heads' not in case:
        formula = lambda w, t, f, heads: plain.xpool(w, t, f, 1)  # noqa: E731
    similarity, loss = ours(adapter, text, text_mask, frames, mask)
    expected = theirs(formula, weights, plain_text, text_mask, plain_frames, mask)
    assert_close(similarity, expected[0], relative)
    assert_close(loss, expected[1], relative)
    if dtype == torch.float32:
        return
    for name, parameter in adapter.named_parameters():
        gradient = weights[name].grad
        if gradient is not None and gradient.abs().max() > 1e-12:  # a key's bias cancels in the softmax
            assert_close(parameter.grad, gradient, relative)
        else:
            assert parameter.grad is None or parameter.grad.abs().max() < 1e-12
    assert_close(frames.grad, plain_frames.grad, relative)
    assert_close(text.grad, plain_text.grad, relative)


@pytest.mark.parametrize('case', CASES)
def test_a_padded_batch_equals_the_clips_one_by_one(case):
    build, arguments, _ = CASES[case]
    adapter = build(**arguments).eval()
    with torch.no_grad():
        text, text_mask, frames, mask = draw(adapter, LENGTHS['padded'], torch.float32)
        features = text if text_mask is None else dict(tokens=text, text_mask=text_mask)
        together = adapter.similarity(features, adapter.encode(frames, mask))
        for v, length in enumerate(LENGTHS['padded']):
            alone = adapter.encode(frames[v : v + 1, :length], mask[v : v + 1, :length])
            for n in range(3):
                one = text[n : n + 1]
                if text_mask is not None:
                    kept = text_mask[n].sum()
                    one = dict(tokens=one[:, :kept], text_mask=text_mask[n : n + 1, :kept])
                torch.testing.assert_close(
                    adapter.similarity(one, alone)[0, 0], together[n, v], rtol=1e-5, atol=1e-5
                )


@pytest.mark.parametrize('width, heads', [(512, 8), (768, 12)])
@pytest.mark.parametrize('build', [SeqTransformerAdapter, TightAdapter, WTIAdapter])
def test_padding_changes_nothing_at_clips_own_widths_and_64_frames(build, width, heads):
    adapter = build(width=width, num_layers=2, start='random').eval()
    assert adapter.transformer.blocks[0].self_attn.num_heads == heads
    frames, lengths = torch.randn(2, 64, width), (64, 17)
    mask = (torch.arange(64) < torch.tensor(lengths)[:, None]).long()
    text = torch.randn(1, 5, width)
    text = dict(tokens=text, text_mask=torch.ones(1, 5)) if adapter.uses_tokens else text[:, 0]
    with torch.no_grad():
        together = adapter.similarity(text, adapter.encode(frames, mask))
        for v, length in enumerate(lengths):
            alone = adapter.encode(frames[v : v + 1, :length], mask[v : v + 1, :length])
            torch.testing.assert_close(
                adapter.similarity(text, alone)[0, 0], together[0, v], rtol=1e-5, atol=1e-5
            )
