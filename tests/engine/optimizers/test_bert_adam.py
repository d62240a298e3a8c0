import math

import pytest
import torch
from mmaction.registry import OPTIMIZERS

from mmclip4clip.engine import BertAdam


def parameter(*values, grad=()):
    p = torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))
    p.grad = torch.tensor(grad, dtype=torch.float64) if grad else None
    return p


def plain_steps(weight, grads, lr, decay, max_norm=1.0):
    """BERT's Adam on lists of numbers."""
    weight, first, second = list(weight), [0.0] * len(weight), [0.0] * len(weight)
    for grad in grads:
        norm = math.sqrt(sum(g * g for g in grad))
        factor = min(1.0, max_norm / (norm + 1e-6)) if max_norm else 1.0
        for i, g in enumerate(grad):
            first[i] = 0.9 * first[i] + (1 - 0.9) * g * factor
            second[i] = 0.98 * second[i] + (1 - 0.98) * (g * factor) ** 2
            weight[i] -= lr * (first[i] / (math.sqrt(second[i]) + 1e-6) + decay * weight[i])
    return weight


@pytest.mark.parametrize('max_norm', [1.0, 0.01, None])
def test_steps_are_those_of_the_rule(max_norm):
    grads = [[3.0, -4.0], [0.1, 0.2], [0.0, -1e-4]]
    p = parameter(0.5, -2.0)
    optimizer = BertAdam([p], lr=0.1, weight_decay=0.2, max_grad_norm=max_norm)
    for grad in grads:
        p.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step()
    assert p.tolist() == pytest.approx(plain_steps([0.5, -2.0], grads, 0.1, 0.2, max_norm), rel=1e-12)


def test_the_first_step_is_not_corrected_for_moments_that_begin_at_zero():
    p = parameter(1.0, grad=[0.01])
    BertAdam([p], lr=1.0).step()
    # .1 g / sqrt(.02 g^2) = 0.707 however large the gradient; Adam's first step is 1
    assert p.item() == pytest.approx(1 - 0.1 / math.sqrt(0.02), abs=1e-3)


def test_tensors_are_clipped_one_by_one_and_their_gradients_left_alone():
    large, small = parameter(0.0, 0.0, grad=[3.0, 4.0]), parameter(0.0, grad=[0.5])
    optimizer = BertAdam([large, small], lr=1.0)
    optimizer.step()
    assert optimizer.state[large]['exp_avg'].tolist() == pytest.approx([0.06, 0.08], rel=1e-5)
    assert optimizer.state[small]['exp_avg'].item() == pytest.approx(0.05)
    assert large.grad.tolist() == [3.0, 4.0]


def test_groups_have_rates_and_decays_of_their_own():
    slow, fast, still = parameter(1.0, grad=[0.0]), parameter(1.0, grad=[0.0]), parameter(1.0)
    BertAdam(
        [dict(params=[slow], lr=0.01), dict(params=[fast, still], weight_decay=0.5)], lr=0.1, weight_decay=0.2
    ).step()
    assert [slow.item(), fast.item(), still.item()] == pytest.approx([1 - 0.01 * 0.2, 1 - 0.1 * 0.5, 1])


def test_it_goes_on_from_its_state():
    grads = torch.randn(4, 3, dtype=torch.float64)
    whole, stopped = parameter(1.0, 2.0, 3.0), parameter(1.0, 2.0, 3.0)
    optimizers = [BertAdam([p], lr=0.1, weight_decay=0.2) for p in (whole, stopped)]
    for step, grad in enumerate(grads):
        if step == 2:
            state = optimizers[1].state_dict()
            optimizers[1] = BertAdam([stopped], lr=5.0)
            optimizers[1].load_state_dict(state)
        for p, optimizer in zip((whole, stopped), optimizers):
            p.grad = grad.clone()
            optimizer.step()
    assert torch.equal(whole, stopped)


def test_a_closure_computes_the_gradient_first():
    p = parameter(2.0)

    def closure():
        loss = p.square().sum()
        loss.backward()
        return loss.item()

    assert BertAdam([p], lr=0.1).step(closure) == 4.0 and p.item() < 2


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(lr=-1.0), 'lr >= 0, got -1'),
        (dict(eps=-1.0), 'eps >= 0'),
        (dict(weight_decay=-0.1), 'weight_decay'),
        (dict(betas=(0.9, 1.0)), r'got \(0.9, 1.0\)'),
        (dict(max_grad_norm=-1), r'> 0 or None \(no clipping\), got -1'),
    ],
)
def test_arguments_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        OPTIMIZERS.build(dict(type='BertAdam', params=[parameter(1.0)], **{'lr': 0.1, **wrong}))
