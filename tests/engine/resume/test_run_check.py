"""What a checkpoint and a training must have in common, seen with real optimizers and schedules."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper, StepLR
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from mmclip4clip.engine.optimizers import BertAdam
from mmclip4clip.engine.resume import check_resumable, describe_run
from mmclip4clip.engine.schedulers import RawCosineLR


def build(
    loop='epochs',
    items=8,
    batch_size=4,
    max_epochs=4,
    optimizer=torch.optim.AdamW,
    lr=1e-3,
    groups=1,
    accumulative_counts=1,
    schedule='cosine',
    seed=None,
    sampler='DefaultSampler',
    **settings,
):
    """Build a runner as far as describe_run and check_resumable look at it."""
    weights = [torch.nn.Parameter(torch.ones(3)) for _ in range(groups)]
    optimizer = optimizer([dict(params=[w]) for w in weights], lr=lr, **settings)
    length = -(-items // batch_size)
    schedules = dict(
        cosine=lambda: [RawCosineLR(optimizer, by_epoch=False, end=length * max_epochs)],
        none=lambda: None,
        fixed=lambda: [CosineAnnealingLR(optimizer, T_max=4, by_epoch=True, end=4)],
        steps=lambda: [StepLR(optimizer, step_size=2, gamma=0.1)],
        two=lambda: [LinearLR(optimizer, start_factor=0.1, end=2), StepLR(optimizer, step_size=2, gamma=0.1)],
    )
    schedulers = schedules[schedule]()
    kind = EpochBasedTrainLoop if loop == 'epochs' else IterBasedTrainLoop
    loop = kind.__new__(kind)
    loop._max_epochs, loop._max_iters = max_epochs, length * max_epochs
    return SimpleNamespace(
        train_loop=loop,
        train_dataloader=DataLoader(range(items), batch_size),
        param_schedulers=schedulers,
        optim_wrapper=OptimWrapper(optimizer, accumulative_counts),
        _randomness_cfg=dict(seed=seed),
        cfg=dict(train_dataloader=dict(sampler=dict(type=sampler))),
    )


def saved(runner, epoch=2, record=True) -> dict:
    """Return what the training of a runner saves after some epochs."""
    run = describe_run(runner)
    for _ in range(epoch * (1 if runner.param_schedulers and runner.param_schedulers[0].by_epoch else 2)):
        runner.optim_wrapper.optimizer.step()
        for scheduler in runner.param_schedulers or []:
            scheduler.step()
    parts = (
        {}
        if runner.param_schedulers is None
        else dict(param_schedulers=[scheduler.state_dict() for scheduler in runner.param_schedulers])
    )
    return dict(
        meta=dict(epoch=epoch, iter=2 * epoch, seed=3, **(dict(mmclip4clip=dict(run=run)) if record else {})),
        message_hub={},
        state_dict={},
        optimizer=copy.deepcopy(runner.optim_wrapper.state_dict()),
        **parts,
    )


def check(runner, checkpoint) -> None:
    check_resumable(runner, checkpoint, describe_run(runner), 'w/epoch_2.pth')


@pytest.mark.parametrize('record', [True, False])
@pytest.mark.parametrize(
    'settings',
    [
        {},
        dict(schedule='none'),
        dict(schedule='fixed'),
        dict(schedule='two'),
        dict(seed=3),
        dict(loop='iterations'),
        dict(groups=3),
        dict(optimizer=BertAdam),
        dict(optimizer=torch.optim.SGD, momentum=0.9),
    ],
)
def test_the_same_training_goes_on(record, settings):
    check(build(**settings), saved(build(**settings), record=record))


DIFFERENT = [  # what differs now, what is said of it, and whether it can be inferred without a record
    (dict(max_epochs=6), r'param_scheduler\[0\].end \(RawCosineLR\): 8 in the checkpoint, 12 now', True),
    (dict(batch_size=8), 'train_dataloader.batch_size: 4 in the checkpoint, 8 now', False),
    (dict(batch_size=8), 'iterations in an epoch: ', True),
    (dict(items=7), 'training samples: 8 in the checkpoint, 7 now', False),
    (dict(items=16), 'iterations in an epoch: ', True),
    (dict(optimizer=torch.optim.SGD), 'optimizer: AdamW in the checkpoint, SGD now', False),
    (dict(optimizer=torch.optim.SGD), 'betas of the optimizer: .*, no such setting now', True),
    (dict(optimizer=torch.optim.Adam), 'weight_decay of the optimizer: 0.01 in the checkpoint, 0 now', True),
    (dict(lr=1e-4), 'learning rates: .0.001. in the checkpoint, .0.0001. now', False),
    (dict(lr=1e-4), 'initial_lr of the optimizer: 0.001 in the checkpoint, 0.0001 now', True),
    (dict(weight_decay=0.5), 'weight_decay of the optimizer: 0.01 in the checkpoint, 0.5 now', True),
    (dict(groups=2), 'parameter groups of the optimizer: 1 with 1 parameters .*, 2 with 2', True),
    (dict(accumulative_counts=2), 'optim_wrapper.accumulative_counts: 1 in the checkpoint, 2 now', False),
    (dict(schedule='none'), 'param_scheduler: 1 schedulers in the checkpoint, 0 now', True),
    (dict(schedule='two'), 'param_scheduler: 1 schedulers in the checkpoint, 2 now', True),
    (dict(schedule='steps'), r'param_scheduler\[0\]: in the checkpoint it is not a StepLR', True),
    (dict(seed=4), 'seed: 3 in the checkpoint, 4 now', True),
    (dict(sampler='GroupedSampler'), 'order of the training data: .*DefaultSampler.*GroupedSampler', False),
    (dict(loop='iterations'), 'kind of training loop: epochs in the checkpoint, iterations now', False),
]


@pytest.mark.parametrize('settings, message, inferred', DIFFERENT)
def test_another_training_is_refused_with_the_reason_and_the_way(settings, message, inferred):
    way = r'(?s)w/epoch_2.pth cannot be resumed .*{}.*--cfg-options load_from=w/epoch_2.pth'
    with pytest.raises(RuntimeError, match=way.format(message)):
        check(build(**settings), saved(build()))
    if inferred:
        with pytest.raises(RuntimeError, match=message):
            check(build(**settings), saved(build(), record=False))


def test_another_number_of_processes_is_refused(monkeypatch):
    checkpoint = saved(build())
    monkeypatch.setattr('mmclip4clip.engine.resume.run_description.get_world_size', lambda: 2)
    with pytest.raises(RuntimeError, match='processes: 1 in the checkpoint, 2 now'):
        check(build(), checkpoint)


def test_more_epochs_than_a_schedule_with_a_fixed_end_are_refused():
    with pytest.raises(RuntimeError, match='max_epochs: 4 in the checkpoint, 9 now, .* would stay'):
        check(build(schedule='fixed', max_epochs=9), saved(build(schedule='fixed')))


@pytest.mark.parametrize('schedule', ['none', 'steps'])
def test_more_epochs_are_right_where_the_schedule_does_not_depend_on_them(schedule):
    check(build(schedule=schedule, max_epochs=9), saved(build(schedule=schedule)))


def test_fewer_epochs_than_are_done_are_refused():
    with pytest.raises(RuntimeError, match='max_epochs: 1 now, .* trained for 2, so no steps remain'):
        check(build(schedule='fixed', max_epochs=1), saved(build(schedule='fixed')))


def test_an_epoch_that_had_begun_can_be_told_from_other_data_by_the_record():
    checkpoint = saved(build())
    checkpoint['meta']['iter'] = 5
    check(build(), checkpoint)
    del checkpoint['meta']['mmclip4clip']
    with pytest.raises(RuntimeError, match='5 iterations after 2 epochs, which are 4 iterations now.*within'):
        check(build(), checkpoint)


@pytest.mark.parametrize(
    'part, name',
    [
        ('optimizer', 'optimizer state'),
        ('param_schedulers', 'scheduler state'),
        ('message_hub', 'message_hub'),
        ('meta', r'step counts \(meta\)'),
    ],
)
def test_what_lacks_a_part_is_refused_by_its_name(part, name):
    checkpoint = saved(build())
    del checkpoint[part]
    with pytest.raises(RuntimeError, match=f'cannot be resumed: it has no {name}.*only weights.*load_from='):
        check(build(), checkpoint)
    checkpoint[part] = {}
    if part == 'meta':
        with pytest.raises(RuntimeError, match='no step counts'):
            check(build(), checkpoint)


def test_a_converted_file_and_a_bare_state_dict_are_refused():
    for content in (dict(state_dict={}, meta={}), dict(w=torch.ones(2)), [1]):
        with pytest.raises(RuntimeError, match='cannot be resumed: it has no .*load_from=w/epoch_2.pth'):
            check(build(), content)


def test_mixed_precision_is_not_mixed():
    checkpoint = saved(build())
    checkpoint['optimizer']['loss_scaler'] = {}
    with pytest.raises(RuntimeError, match=r'mixed precision \(--amp\): on in the checkpoint, off now'):
        check(build(), checkpoint)


def test_several_faults_are_named_at_once():
    with pytest.raises(RuntimeError) as error:
        check(build(batch_size=8, lr=1.0, seed=4), saved(build()))
    assert all(part in str(error.value) for part in ('batch_size', 'iterations in an epoch', 'rates', 'seed'))
