from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader

from mmclip4clip.engine.loops import ResumableTrainLoop


@pytest.mark.parametrize('begin, interval, expected', [(1, 2, [2, 4, 5]), (4, 1, [4, 5]), (1, 10, [5])])
def test_the_last_epoch_is_evaluated_whatever_the_interval(begin, interval, expected):
    """Also with mmengine 0.10.0, whose own loop only does it where the interval divides the epochs."""
    evaluated = []
    runner = SimpleNamespace(
        model=SimpleNamespace(train=list, train_step=lambda *args, **kwargs: {}),
        optim_wrapper=None,
        call_hook=lambda *args, **kwargs: None,
        cfg={},
        val_loop=SimpleNamespace(run=lambda: evaluated.append(loop.epoch)),
    )
    data = DataLoader([1, 2, 3], batch_size=2)
    loop = ResumableTrainLoop(runner, data, max_epochs=5, val_begin=begin, val_interval=interval)
    assert loop.run() is runner.model
    assert evaluated == expected and loop.iter == 10
