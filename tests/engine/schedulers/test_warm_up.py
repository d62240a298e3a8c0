import pytest
import torch
from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import OptimWrapper


def rates(kind, end, epoch_length, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = PARAM_SCHEDULERS.build(
        dict(type=kind, start_factor=0.1, by_epoch=True, begin=0, end=end, convert_to_iter_based=True),
        default_args=dict(optimizer=OptimWrapper(optimizer), epoch_length=epoch_length),
    )
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize('end, epoch_length', [(0.5, 10), (1, 7), (2, 3), (0.5, 49)])
def test_is_mmengines_where_that_works(end, epoch_length):
    assert rates('WarmUpLR', end, epoch_length, 30) == rates('LinearLR', end, epoch_length, 30)


def test_lasts_two_iterations_where_mmengines_fails():
    with pytest.raises(ValueError, match='end should be larger than begin'):
        rates('LinearLR', 0.5, 1, 3)
    assert rates('WarmUpLR', 0.5, 1, 3) == pytest.approx([0.1, 1.0, 1.0])
