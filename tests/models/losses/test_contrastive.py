import math

import pytest
import torch

from mmclip4clip.models import SymmetricContrastiveLoss


def plain_loss(logits, video_index):
    """Compute both cross-entropies entry by entry in float64."""
    logits, video_index = logits.double().tolist(), video_index.tolist()
    captions, videos = range(len(logits)), range(len(logits[0]))

    def log_softmax(values, i):
        return values[i] - math.log(sum(math.exp(v) for v in values))

    t2v = -sum(log_softmax(logits[n], video_index[n]) for n in captions) / len(captions)
    v2t = 0.0
    for v in videos:
        own = [n for n in captions if video_index[n] == v]
        column = [logits[n][v] for n in captions]
        v2t -= sum(log_softmax(column, n) for n in own) / len(own)
    return t2v / 2, v2t / len(videos) / 2


def test_one_caption_a_video_is_the_symmetric_cross_entropy():
    logits, video_index = torch.randn(5, 5), torch.arange(5)
    losses = SymmetricContrastiveLoss()(logits, video_index)
    t2v, v2t = plain_loss(logits, video_index)
    torch.testing.assert_close(losses['loss_t2v'], torch.tensor(t2v).float())
    torch.testing.assert_close(losses['loss_v2t'], torch.tensor(v2t).float())
    assert losses['loss_t2v'] + losses['loss_v2t'] > 0


def test_several_captions_share_the_target_of_their_video():
    logits, video_index = torch.randn(5, 3), torch.tensor([0, 0, 1, 2, 2])
    losses = SymmetricContrastiveLoss()(logits, video_index)
    torch.testing.assert_close(losses['loss_v2t'], torch.tensor(plain_loss(logits, video_index)[1]).float())


def test_weight_scales_both_terms():
    logits, video_index = torch.randn(3, 3), torch.arange(3)
    once, twice = (
        SymmetricContrastiveLoss()(logits, video_index),
        SymmetricContrastiveLoss(2.0)(logits, video_index),
    )
    torch.testing.assert_close(2 * once['loss_t2v'], twice['loss_t2v'])
    torch.testing.assert_close(2 * once['loss_v2t'], twice['loss_v2t'])


def test_two_items_of_one_video_are_right_answers_to_each_other():
    logits, video_index = torch.randn(3, 3), torch.arange(3)
    losses = SymmetricContrastiveLoss()(logits, video_index, video_key=torch.tensor([7, 5, 7]))
    rows, columns = logits.double().log_softmax(1), logits.double().log_softmax(0)
    half = torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]]).double()
    torch.testing.assert_close(losses['loss_t2v'].double(), -(half * rows).sum() / 3 / 2)
    torch.testing.assert_close(losses['loss_v2t'].double(), -(half * columns).sum() / 3 / 2)


def test_the_references_rule_takes_them_as_wrong_answers():
    logits, video_index = torch.randn(3, 3), torch.arange(3)
    losses = SymmetricContrastiveLoss(same_video='negative')(logits, video_index, torch.tensor([7, 5, 7]))
    t2v, v2t = plain_loss(logits, video_index)
    torch.testing.assert_close(losses['loss_t2v'], torch.tensor(t2v).float())
    torch.testing.assert_close(losses['loss_v2t'], torch.tensor(v2t).float())


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="same_video must be .* got 'ignore'"):
        SymmetricContrastiveLoss(same_video='ignore')
