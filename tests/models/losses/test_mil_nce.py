import math

import pytest
import torch

from mmclip4clip.models import MILNCELoss


def plain_loss(logits, video_index):
    """The formula of the paper, pair by pair."""
    logits, video_index, total = logits.tolist(), video_index.tolist(), 0.0
    videos = range(len(logits[0]))
    for v in videos:
        bag = [n for n, video in enumerate(video_index) if video == v]
        right = sum(math.exp(logits[n][v]) for n in bag)
        wrong = sum(math.exp(logits[n][v]) for n in range(len(video_index)) if n not in bag)
        wrong += sum(math.exp(logits[n][w]) for n in bag for w in videos if w != v)
        total -= math.log(right / (right + wrong))
    return total / len(videos)


@pytest.mark.parametrize('video_index', [[0, 1, 2], [0, 0, 1, 2, 2, 2], [2, 0, 1, 0]])
def test_it_is_the_formula(video_index):
    video_index = torch.tensor(video_index)
    logits = (3 * torch.randn(len(video_index), 3, dtype=torch.float64)).requires_grad_()
    (loss,) = MILNCELoss(2.0)(logits, video_index).values()
    assert loss.item() == pytest.approx(2 * plain_loss(logits, video_index), rel=1e-12)
    loss.backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0


def test_two_items_of_one_video_share_their_bag():
    logits, video_index = torch.randn(3, 3), torch.arange(3)
    right = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]]).bool()
    total = 0.0
    for v in range(3):
        bag = [n for n in range(3) if right[n, v]]
        pairs = {(n, v) for n in range(3)} | {(n, w) for n in bag for w in range(3) if not right[n, w]}
        total += math.log(sum(math.exp(logits[p]) for p in pairs) / sum(math.exp(logits[n, v]) for n in bag))
    loss = MILNCELoss()(logits, video_index, torch.tensor([5, 6, 5]))['loss_mil_nce']
    assert loss.item() == pytest.approx(total / 3, rel=1e-5)


def test_a_batch_of_one_video_has_nothing_to_learn_and_does_not_fail():
    logits = torch.randn(2, 1, requires_grad=True)
    loss = MILNCELoss()(logits, torch.zeros(2, dtype=torch.long))['loss_mil_nce']
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6) and torch.isfinite(logits.grad).all()
