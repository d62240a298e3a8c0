import doctest
import math

import pytest
import torch
from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import OptimWrapper

from mmclip4clip.engine.schedulers import warm_up_cosine

# Warm-up, begin and end of the cosine in epochs, first factor: the recipes, and one of their edges.
RECIPES = [(0.5, 0.5, 5, 0.05), (1, 5, 8, 0.02), (1, 1, 3, 0.02), (1, 10, 20, 0.02), (1.5, 2, 4, 0.5)]


def build(schedule, epoch_length):
    """Build schedulers for three groups with rates of their own, as mmengine's runner does."""
    groups = [dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=lr) for lr in (1e-5, 1e-4, 3.3e-5)]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=1.0))
    return wrapper, [
        PARAM_SCHEDULERS.build(dict(part), default_args=dict(optimizer=wrapper, epoch_length=epoch_length))
        for part in schedule
    ]


def rates(wrapper, schedulers, steps):
    seen = []
    for _ in range(steps):
        seen.append([group['lr'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


def one(warmup, begin, end, first, **kwargs):
    return [
        dict(
            type='WarmUpCosineLR',
            warmup=warmup,
            cosine_begin=begin,
            end=end,
            start_factor=first,
            convert_to_iter_based=True,
            **kwargs,
        )
    ]


def two(warmup, begin, end, first):
    """The lists that the recipes had."""
    epochs = dict(by_epoch=True, convert_to_iter_based=True)
    return [
        dict(type='WarmUpLR', start_factor=first, begin=0, end=warmup, **epochs),
        dict(type='CosineAnnealingLR', T_max=end - begin, eta_min=0, begin=begin, end=end, **epochs),
    ]


@pytest.mark.parametrize('epoch_length', [1, 2, 3, 7, 49, 100])
@pytest.mark.parametrize('recipe', RECIPES)
def test_every_rate_is_to_the_last_bit_that_of_a_warm_up_and_a_cosine(recipe, epoch_length):
    steps = recipe[2] * epoch_length + 3  # and stays where it ended
    found, expected = (rates(*build(schedule(*recipe), epoch_length), steps) for schedule in (one, two))
    assert found == expected


@pytest.mark.parametrize('epoch_length', [4, 49, 100])
@pytest.mark.parametrize('warmup, begin, end, first', RECIPES)
def test_the_factor_is_that_of_the_formula(warmup, begin, end, first, epoch_length):
    rising, flat = int(warmup * epoch_length), int(begin * epoch_length)
    expected = [first + (1 - first) * k / (rising - 1) for k in range(rising)]
    expected += [1.0] * (flat - rising)
    expected += [
        math.cos(math.pi / 2 * (k - flat) / ((end - begin) * epoch_length)) ** 2
        for k in range(flat, end * epoch_length)
    ]
    found = rates(*build(one(warmup, begin, end, first), epoch_length), end * epoch_length)
    for group, lr in enumerate((1e-5, 1e-4, 3.3e-5)):
        assert [values[group] for values in found] == pytest.approx([lr * f for f in expected], rel=1e-9)


def test_the_cosine_follows_the_warm_up_unless_told_otherwise():
    alone = [{key: v for key, v in one(1, 1, 3, 0.1)[0].items() if key != 'cosine_begin'}]
    assert rates(*build(alone, 5), 15) == rates(*build(one(1, 1, 3, 0.1), 5), 15)


def test_it_counts_epochs_and_iterations_and_needs_no_warm_up():
    epochs = [dict(type='WarmUpCosineLR', warmup=2, end=4, start_factor=0.5)]
    iterations = [dict(epochs[0], by_epoch=False)]
    expected = pytest.approx([0.5e-5, 1e-5, 1e-5, 0.5e-5, 0.5e-5])
    for schedule in (epochs, iterations):
        assert [values[0] for values in rates(*build(schedule, 9), 5)] == expected
    assert [v[0] for v in rates(*build([dict(iterations[0], warmup=0)], 9), 4)] == pytest.approx(
        [1e-5 * math.cos(math.pi / 8 * k) ** 2 for k in range(4)]
    )


def test_its_example_is_right():
    result = doctest.testmod(warm_up_cosine)
    assert result.attempted and not result.failed


def test_it_goes_on_from_its_state():
    recipe = one(0.5, 1, 3, 0.1)
    whole = rates(*build(recipe, 7), 21)
    for done in (2, 5, 12):
        wrapper, schedulers = build(recipe, 7)
        begun = rates(wrapper, schedulers, done)
        states = wrapper.state_dict(), schedulers[0].state_dict()
        wrapper, schedulers = build(recipe, 7)
        wrapper.load_state_dict(states[0])
        schedulers[0].load_state_dict(states[1])
        assert begun + rates(wrapper, schedulers, 21 - done) == whole


@pytest.mark.parametrize(
    'wrong, message',
    [
        (dict(warmup=1), 'needs end'),
        (dict(warmup=-1, end=5), 'warmup >= 0, got -1'),
        (dict(warmup=5, end=5), 'below end, got 5 and end=5'),
        (dict(warmup=1, end=5, cosine_begin=7), 'below end, got 7 and end=5'),
        (dict(warmup=1, end=5, cosine_begin=-1), 'got -1 and end=5'),
        (dict(warmup=1, end=5, start_factor=0), 'start_factor above 0 and at most 1, got 0'),
        (dict(warmup=1, end=5, start_factor=1.5), 'at most 1, got 1.5'),
    ],
)
def test_bad_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        build([dict(type='WarmUpCosineLR', **wrong)], 1)
