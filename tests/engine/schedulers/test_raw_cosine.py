import math

import pytest
import torch
from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import OptimWrapper


def make(epoch_length=4, **kwargs):
    slow, fast = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    wrapper = OptimWrapper(torch.optim.SGD([dict(params=[slow], lr=0.5), dict(params=[fast])], lr=2.0))
    config = dict(type='RawCosineLR', by_epoch=True, convert_to_iter_based=True)
    return wrapper, PARAM_SCHEDULERS.build(
        {**config, **kwargs}, default_args=dict(optimizer=wrapper, epoch_length=epoch_length)
    )


def rates(wrapper, scheduler, steps):
    seen = []
    for _ in range(steps):
        seen.append([group['lr'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        scheduler.step()
    return seen


def test_the_factor_is_that_of_the_raw_progress():
    found = rates(*make(end=5), 20)
    half_cosine = [(1 + math.cos(math.pi * k / 20)) / 2 for k in range(20)]
    expected = [0, 0.5] + half_cosine[2:]  # a tenth of 20 steps warms up
    assert [first for first, _ in found] == pytest.approx([0.5 * f for f in expected])
    assert [second for _, second in found] == pytest.approx([2 * f for f in expected])
    assert expected[2] == pytest.approx(0.9755, abs=1e-4)  # below the peak at once


def test_the_warm_up_may_be_none_or_longer():
    assert rates(*make(end=1, warmup=0.0), 2)[0] == [0.5, 2.0]
    found = [r for _, r in rates(*make(end=1, warmup=0.75), 4)]
    assert found == pytest.approx([0, 2 / 3, 4 / 3, 2 * 0.1464466])


def test_it_can_begin_later_and_count_epochs():
    wrapper, scheduler = make(begin=1, end=3, epoch_length=2, warmup=0.5)
    assert [r for _, r in rates(wrapper, scheduler, 7)] == pytest.approx(
        [2, 2, 0, 1, 1, 2 * 0.1464466, 2 * 0.1464466]
    )  # and stays where it ended
    wrapper, scheduler = make(end=4, warmup=0.5, convert_to_iter_based=False)
    assert [r for _, r in rates(wrapper, scheduler, 4)] == pytest.approx([0, 1, 1, 2 * 0.1464466])


def test_it_goes_on_from_its_state():
    whole = rates(*make(end=5), 20)
    wrapper, scheduler = make(end=5)
    begun = rates(wrapper, scheduler, 7)
    states = wrapper.state_dict(), scheduler.state_dict()
    wrapper, scheduler = make(end=5)
    wrapper.load_state_dict(states[0])
    scheduler.load_state_dict(states[1])
    assert begun + rates(wrapper, scheduler, 13) == whole


@pytest.mark.parametrize(
    'wrong, message', [(dict(end=5, warmup=1.0), 'warmup from 0 to below 1, got 1.0'), (dict(), 'needs end')]
)
def test_bad_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        make(**wrong)
