import math

import pytest
import torch
from torch import nn

from mmclip4clip.models import SigmoidLoss


def test_each_pair_is_a_binary_cross_entropy():
    logits, index = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 0, 1, 2])
    expected = 0.0
    for n, row in enumerate(logits.tolist()):
        for v, logit in enumerate(row):
            sign = 1 if index[n] == v else -1
            expected -= math.log(1 / (1 + math.exp(-sign * (logit - 3))))
    found = SigmoidLoss(loss_weight=0.5, init_bias=-3.0)(logits, index)
    assert found['loss_sigmoid'].item() == pytest.approx(0.5 * expected / 4)


def test_items_of_the_same_video_are_positive_pairs_unless_told_otherwise():
    logits, index, key = torch.full((2, 2), 50.0), torch.arange(2), torch.tensor([7, 7])
    assert SigmoidLoss(init_bias=0.0)(logits, index, key)['loss_sigmoid'].item() == pytest.approx(0)
    negative = SigmoidLoss(init_bias=0.0, same_video='negative')(logits, index, key)
    assert negative['loss_sigmoid'].item() == pytest.approx(50.0)  # two wrong pairs of 50, two captions


def test_the_bias_of_a_pretrained_encoder_is_the_start():
    backbone = nn.Module()
    loss = SigmoidLoss()
    loss.init_from_clip(backbone)
    assert loss.logit_bias.item() == -10
    backbone.clip = nn.Module()
    backbone.clip.logit_bias = nn.Parameter(torch.tensor([-12.5]))
    loss.init_from_clip(backbone)
    assert loss.logit_bias.item() == -12.5 and loss.logit_bias.shape == ()


def test_a_wrong_rule_is_refused():
    with pytest.raises(ValueError, match="same_video must be 'positive' or 'negative', got 'both'"):
        SigmoidLoss(same_video='both')
