"""Trainings that began with a list of two schedulers and go on with one."""

import copy

import pytest
import torch
from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mmclip4clip.engine.resume import check_resumable, describe_run, join_schedules

from ..schedulers.test_warm_up_cosine import one, rates, two

LENGTH, EPOCHS = 7, 4
NUMBERS = (0.5, 1.5, EPOCHS, 0.1)  # warm-up, begin and end of the cosine, first factor


class Training:
    """What check_resumable looks at of a runner, with real parts."""

    def __init__(self, schedule) -> None:
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
        self.optim_wrapper, self._randomness_cfg, self.cfg = OptimWrapper(optimizer), {}, {}
        self.train_dataloader = DataLoader(range(LENGTH))
        self.train_loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
        self.train_loop._max_epochs, self.train_loop._max_iters = EPOCHS, LENGTH * EPOCHS
        self.param_schedulers = [
            PARAM_SCHEDULERS.build(
                dict(part), default_args=dict(optimizer=self.optim_wrapper, epoch_length=LENGTH)
            )
            for part in schedule
        ]
        self.run = describe_run(self)

    def train(self, steps) -> list:
        return rates(self.optim_wrapper, self.param_schedulers, steps)

    def save(self, done) -> dict:
        return copy.deepcopy(
            dict(
                meta=dict(epoch=done // LENGTH, iter=done, mmclip4clip=dict(run=self.run)),
                message_hub={},
                optimizer=self.optim_wrapper.state_dict(),
                param_schedulers=[scheduler.state_dict() for scheduler in self.param_schedulers],
            )
        )

    def resume(self, checkpoint) -> None:
        join_schedules(self.param_schedulers, checkpoint, 'epoch_1.pth')
        check_resumable(self, checkpoint, self.run, 'epoch_1.pth')
        self.optim_wrapper.load_state_dict(checkpoint['optimizer'])
        for scheduler, state in zip(self.param_schedulers, checkpoint['param_schedulers'], strict=True):
            scheduler.load_state_dict(state)


@pytest.mark.parametrize('done', [2, LENGTH, 2 * LENGTH, LENGTH * EPOCHS])
@pytest.mark.parametrize('record', [True, False])
def test_a_training_with_two_schedulers_goes_on_with_one_at_the_same_rates(done, record):
    old, whole = Training(two(*NUMBERS)), Training(two(*NUMBERS)).train(LENGTH * EPOCHS + 2)
    begun = old.train(done)
    checkpoint = old.save(done)
    if not record:  # of earlier versions
        checkpoint['meta'] = dict(epoch=EPOCHS, iter=LENGTH * EPOCHS)
    new = Training(one(*NUMBERS))
    new.resume(checkpoint)
    assert begun + new.train(len(whole) - done) == whole


def test_what_goes_on_saves_what_one_schedule_saves():
    old, straight, new = Training(two(*NUMBERS)), Training(one(*NUMBERS)), Training(one(*NUMBERS))
    old.train(9)
    new.resume(old.save(9))
    new.train(3)
    straight.train(12)
    assert new.save(12) == straight.save(12)


def test_mmengines_own_pair_goes_on_too():
    pair = [dict(two(*NUMBERS)[0], type='LinearLR'), two(*NUMBERS)[1]]
    old, new = Training(pair), Training(one(*NUMBERS))
    begun = old.train(9)
    new.resume(old.save(9))
    assert begun + new.train(LENGTH * EPOCHS - 9) == Training(pair).train(LENGTH * EPOCHS)


@pytest.mark.parametrize(
    'numbers, message',
    [
        (
            (1, 1.5, EPOCHS, 0.1),
            r'param_scheduler\[0\].warmup \(WarmUpCosineLR\): 3 in the checkpoint, 7 now',
        ),
        ((0.5, 1, EPOCHS, 0.1), r'param_scheduler\[0\].cosine_begin .*: 10.5 in the checkpoint, 7 now'),
        ((0.5, 1.5, 3, 0.1), r'param_scheduler\[0\].end .*: 28 in the checkpoint, 21 now'),
        ((0.5, 1.5, EPOCHS, 0.2), r'param_scheduler\[0\].start_factor .*: 0.1 in the checkpoint, 0.2 now'),
    ],
)
def test_other_numbers_are_refused_by_name(numbers, message):
    with pytest.raises(RuntimeError, match=message):
        Training(one(*numbers)).resume(Training(two(*NUMBERS)).save(0))


@pytest.mark.parametrize(
    'change',
    [
        [dict(eta_min=1e-6)],
        [dict(T_max=9)],
        [dict(type='ExponentialLR', gamma=0.9, T_max=None, eta_min=None)],
    ],
)
def test_two_schedulers_that_one_cannot_follow_are_refused(change):
    warm_up, cosine = two(*NUMBERS)
    cosine = {key: value for key, value in {**cosine, **change[0]}.items() if value is not None}
    with pytest.raises(RuntimeError, match='param_scheduler: 2 schedulers in the checkpoint, 1 now'):
        Training(one(*NUMBERS)).resume(Training([warm_up, cosine]).save(0))


def test_one_schedule_does_not_go_on_with_two():
    with pytest.raises(RuntimeError, match='param_scheduler: 1 schedulers in the checkpoint, 2 now'):
        Training(two(*NUMBERS)).resume(Training(one(*NUMBERS)).save(0))


def test_what_is_no_state_is_left_for_the_check_to_refuse():
    for states in ([{}, {}], [1, 2], 'ab', None):
        checkpoint = dict(Training(one(*NUMBERS)).save(0), param_schedulers=states)
        join_schedules(Training(one(*NUMBERS)).param_schedulers, checkpoint, 'epoch_1.pth')
        assert checkpoint['param_schedulers'] == states
