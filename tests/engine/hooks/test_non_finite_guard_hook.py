import functools
import logging
import os
import re
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from mmaction.registry import HOOKS
from mmaction.structures import ActionDataSample
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import Runner

from mmclip4clip.engine import BertAdam, NonFiniteGuardHook
from mmclip4clip.engine.finite_check import (
    NonFiniteError,
    checkpoint_folders,
    describe_last_good,
    last_finite_checkpoint,
    max_abs,
)

from ...tools.conftest import free_port

GOOD = [('v0', 1.0, 'good'), ('v1', 2.0, 'good'), ('v2', -1.0, 'good'), ('v3', 0.5, 'good')]
# What goes wrong in a step: a loss that is not finite, or a finite one with a gradient that is not, or both.
FAULTS = {'nan': 'loss = nan', 'inf': 'inf', 'loss alone': 'loss = nan', 'gradient alone': 'the gradient of'}


class Line(BaseModel):
    """A loss of one weight, which goes wrong as the batch says."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Linear(3, 1)
        self.register_buffer('mask', torch.full((2,), -torch.inf))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        value = self.layer(torch.tensor([[x, 1 - x, x * x] for x, _ in inputs])).float().sin().mean()
        for _, fault in inputs:
            if fault == 'loss alone':
                value = value + torch.nan
            elif fault == 'gradient alone':
                value = value + (self.layer.weight * 0).sqrt().sum()
            elif fault != 'good':
                value = value * float(fault)
        return dict(loss=value)


class Save(Hook):
    """Keep a copy of weights and optimizer after each step."""

    priority = 'LOWEST'

    def __init__(self):
        self.states = []

    def after_train_iter(self, runner, *_, **__):
        self.states.append(state(runner))


def state(runner):
    tensors = {name: value.clone() for name, value in runner.model.state_dict().items() if 'mask' not in name}
    inner = runner.optim_wrapper
    for i, wrapper in enumerate(inner.values() if isinstance(inner, OptimWrapperDict) else [inner]):
        for number, values in wrapper.optimizer.state_dict()['state'].items():
            tensors |= {f'{i}.{number}.{k}': v.clone() for k, v in values.items() if torch.is_tensor(v)}
    return tensors


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def collate(items):
    return dict(
        inputs=[(x, fault) for _, x, fault in items],
        data_samples=[ActionDataSample(metainfo=dict(video_id=video)) for video, _, _ in items],
    )


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train on items, one a batch, and return the runner."""
    monkeypatch.setattr(Runner, '_log_env', lambda *_: None)  # it asks compilers for their versions

    def train(items, guard=True, optimizer=sgd, hooks=(), epochs=1, model=None, wrap=OptimWrapper, **options):
        model = model or Line()
        guards = [NonFiniteGuardHook(**guard)] if isinstance(guard, dict) else [NonFiniteGuardHook()] * guard
        wrapper = optimizer(model) if wrap is None else wrap(optimizer=optimizer(model), **options)
        loader = torch.utils.data.DataLoader(items, batch_size=1, collate_fn=collate)
        runner = Runner(
            model,
            str(tmp_path / 'work'),
            loader,
            optim_wrapper=wrapper,
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            custom_hooks=[*guards, *hooks],
            default_hooks=dict(checkpoint=None, logger=None, timer=None),
            randomness=dict(seed=1),
            experiment_name=f'guard-{os.urandom(8).hex()}',
        )
        runner.train()
        return runner

    return train


@pytest.fixture
def log(caplog, monkeypatch):
    """Collect what runners log."""
    lines = []
    for level in ('info', 'warning'):
        monkeypatch.setattr(logging.Logger, level, lambda self, text, *args, **_: lines.append(str(text)))
    return lines


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize(
    'optimizer',
    [
        sgd,
        lambda model: torch.optim.AdamW(model.parameters(), lr=0.1),
        lambda model: BertAdam(model.parameters(), lr=0.1, weight_decay=0.2),
    ],
    ids=['SGD', 'AdamW', 'BertAdam'],
)
def test_a_step_that_is_not_finite_is_as_if_it_had_not_been(train, fault, optimizer, log):
    runner = train([*GOOD[:2], ('bad', 1.0, fault), *GOOD[2:]], optimizer=optimizer)
    assert same(state(runner), state(train(GOOD, optimizer=optimizer)))
    said = [line for line in log if 'The step is skipped' in line]
    assert len(said) == 1 and 'epoch 1, iteration 3: not finite: ' in said[0] and FAULTS[fault] in said[0]
    assert '1 in a row, 1 in all. Its videos: bad' in said[0]


@pytest.mark.parametrize('fault', FAULTS)
def test_without_the_hook_the_weights_are_lost(train, fault):
    runner = train([GOOD[0], ('bad', 1.0, fault), GOOD[1]], guard=False)
    lost = not all(value.isfinite().all() for value in state(runner).values())
    assert lost or fault == 'loss alone'


def test_a_healthy_training_is_the_same_bit_by_bit(train):
    with_hook, without = Save(), Save()
    train(GOOD, hooks=[with_hook], epochs=3)
    train(GOOD, guard=False, hooks=[without], epochs=3)
    assert len(with_hook.states) == 12 and all(map(same, with_hook.states, without.states))


@pytest.mark.parametrize('max_skipped', [0, 2])
def test_too_many_in_a_row_end_the_training_by_name(train, max_skipped, tmp_path):
    saved = CheckpointHook(interval=1, by_epoch=False)
    items = [*GOOD, *[(f'bad{i}', 1.0, 'nan') for i in range(5)]]
    with pytest.raises(NonFiniteError) as error:
        train(items, guard=dict(max_skipped=max_skipped), hooks=[saved])
    text = str(error.value)
    assert f'epoch 1, iteration {5 + max_skipped}: not finite: loss = nan, the gradient of layer.w' in text
    assert f'videos: bad{max_skipped}.' in text and f'max_skipped is {max_skipped}' in text
    name = re.search(r'The last good checkpoint is (.*\.pth)', text)[1]
    weights = torch.load(name, weights_only=True)['state_dict']
    assert weights['layer.weight'].isfinite().all()


def test_steps_that_are_not_in_a_row_are_counted_but_end_nothing(train, log):
    items = [item for good in GOOD for item in (('bad', 1.0, 'inf'), good)]
    train(items, guard=dict(max_skipped=1))
    assert '1 in a row, 4 in all' in ''.join(log)


def test_an_accumulated_gradient_is_left_out_as_a_whole(train, log):
    items = [GOOD[0], ('bad', 1.0, 'nan'), *GOOD[1:3]]
    runner = train(items, accumulative_counts=2)
    assert same(state(runner), state(train(GOOD[1:3], accumulative_counts=2)))
    assert 'iteration 2: not finite' in ''.join(log) and 'Its videos: v0, bad' in ''.join(log)


@pytest.mark.parametrize('fault', FAULTS)
def test_clipping_hides_nothing(train, fault):
    runner = train([*GOOD[:2], ('bad', 1.0, fault)], clip_grad=dict(max_norm=0.1))
    assert same(state(runner), state(train(GOOD[:2], clip_grad=dict(max_norm=0.1))))


def test_each_of_several_optimizers_is_watched(train, log):
    class Two(Line):
        def train_step(self, data, optim_wrapper):
            losses = self(**data, mode='loss')
            optim_wrapper['weight'].zero_grad(), optim_wrapper['bias'].zero_grad()
            losses['loss'].backward()
            optim_wrapper['weight'].step(), optim_wrapper['bias'].step()
            return losses

    def two(model):
        return OptimWrapperDict(
            weight=OptimWrapper(torch.optim.AdamW([model.layer.weight], lr=0.1)),
            bias=OptimWrapper(torch.optim.SGD([model.layer.bias], lr=0.1, momentum=0.9)),
        )

    runner = train([GOOD[0], ('bad', 1.0, 'nan'), GOOD[1]], model=Two(), optimizer=two, wrap=None)
    assert same(state(runner), state(train(GOOD[:2], model=Two(), optimizer=two, wrap=None)))
    assert sum('The step is skipped' in line for line in log) == 1


def poison(runner, kind):
    if kind == 'weights':
        runner.model.layer.weight.data[0, 1] = torch.nan
    else:
        runner.optim_wrapper.optimizer.state[runner.model.layer.weight]['momentum_buffer'][0, 0] = torch.inf


class Poison(Hook):
    """Spoil weights or moments behind the back of all checks of gradients."""

    priority = 'VERY_HIGH'

    def __init__(self, kind, at):
        self.kind, self.at = kind, at

    def after_train_iter(self, runner, *_, **__):
        if runner.iter + 1 == self.at:
            poison(runner, self.kind)


@pytest.mark.parametrize('kind, name', [('weights', 'layer.weight'), ('moments', 'optimizer.0.momentum')])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_no_checkpoint_is_saved_or_removed_for_one_that_is_not_finite(train, tmp_path, kind, name, by_epoch):
    saved = CheckpointHook(interval=1 if by_epoch else 4, by_epoch=by_epoch, max_keep_ckpts=1)
    with pytest.raises(
        NonFiniteError,
        match=f'not finite .*: {name}.* No checkpoint is saved or removed. '
        r'The last good checkpoint is .*/(epoch_1|iter_4)\.pth',
    ) as error:
        train(GOOD, hooks=[saved, Poison(kind, at=8)], epochs=3)
    (path,) = (tmp_path / 'work').glob('*.pth')
    assert str(path) in str(error.value)
    assert all(v.isfinite().all() for k, v in torch.load(path)['state_dict'].items() if k != 'mask')


def test_a_save_from_anywhere_is_refused_before_a_file_is_touched(train, tmp_path):
    runner = train(GOOD, hooks=[CheckpointHook(interval=1)])
    before = (tmp_path / 'work/epoch_1.pth').read_bytes()
    poison(runner, 'weights')
    with pytest.raises(NonFiniteError, match='in a checkpoint to be saved'):
        runner.save_checkpoint(runner.work_dir, 'epoch_1.pth')
    assert (tmp_path / 'work/epoch_1.pth').read_bytes() == before


def test_a_training_does_not_begin_with_weights_that_are_not_finite(train):
    model = Line()
    model.layer.bias.data[0] = torch.nan
    with pytest.raises(NonFiniteError, match='not finite before training.*: layer.bias'):
        train(GOOD, model=model)


def test_a_learning_rate_that_is_not_finite_is_named(train):
    with pytest.raises(NonFiniteError, match='learning rates must be finite, got .nan'):
        train(GOOD, optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=torch.tensor(torch.nan)))


@pytest.fixture
def mixed(monkeypatch):
    """Let mixed precision's wrapper, with its loss scaler, run on the CPU."""
    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('torch before 2.3 has no loss scaler for CPUs')
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(amp_optimizer_wrapper, 'GradScaler', functools.partial(torch.amp.GradScaler, 'cpu'))
    return functools.partial(amp_optimizer_wrapper.AmpOptimWrapper, dtype='bfloat16')


def test_what_the_loss_scaler_skips_does_not_count_while_it_can_lower_its_scale(train, mixed, log):
    items = [('bad', 1.0, 'gradient alone')] * 8
    train(items, guard=dict(max_skipped=0), wrap=mixed, loss_scale=dict(init_scale=256.0))
    assert sum('mixed precision lowers its loss scale' in line for line in log) == 8
    with pytest.raises(NonFiniteError, match='iteration 9'):
        train(
            [('bad', 1.0, 'gradient alone')] * 10,
            guard=dict(max_skipped=0),
            wrap=mixed,
            loss_scale=dict(init_scale=256.0),
        )


def test_a_loss_that_is_not_finite_counts_in_mixed_precision_too(train, mixed):
    with pytest.raises(NonFiniteError, match='iteration 2: not finite: loss = nan'):
        train(
            [GOOD[0], ('bad', 1.0, 'nan')],
            guard=dict(max_skipped=0),
            wrap=mixed,
            loss_scale=dict(init_scale=256.0),
        )


def test_mixed_precision_is_healthy_bit_by_bit(train, mixed):
    runs = [
        state(train(GOOD, guard=guard, wrap=mixed, loss_scale=dict(init_scale=2.0**126), epochs=20))
        for guard in (True, False)
    ]
    assert same(*runs)


def test_large_finite_values_are_finite():
    assert max_abs([torch.tensor([3e38, -1.0]), torch.ones(4, dtype=torch.half) * 6e4]).isfinite()
    assert max_abs([torch.ones(2, dtype=torch.long), torch.ones(0)]) == 0
    assert not max_abs([torch.ones(3), torch.tensor([-torch.inf])]).isfinite()


def test_the_last_good_checkpoint_is_whole_and_finite(tmp_path):
    for age, (name, value) in enumerate([('a', torch.nan), ('b', 1.0), ('c', torch.inf), ('d', 2.0)]):
        torch.save(dict(state_dict=dict(w=torch.full((9,), value))), tmp_path / f'{name}.pth')
        os.utime(tmp_path / f'{name}.pth', (age, age))
    (tmp_path / 'd.pth').write_bytes((tmp_path / 'd.pth').read_bytes()[:300])
    (tmp_path / 'out').mkdir()
    assert last_finite_checkpoint([tmp_path, tmp_path / 'out']).name == 'b.pth'
    (tmp_path / 'b.pth').rename(tmp_path / 'out/b.pth')
    assert last_finite_checkpoint([tmp_path, tmp_path / 'out']) == tmp_path / 'out/b.pth'
    assert last_finite_checkpoint([tmp_path / 'none']) is None


def test_checkpoints_are_looked_for_where_the_run_saves_them(tmp_path):
    hook = CheckpointHook(interval=1, out_dir=str(tmp_path / 'out'))
    runner = SimpleNamespace(work_dir=str(tmp_path), hooks=[hook, CheckpointHook(out_dir='s3://far')])
    assert checkpoint_folders(runner) == [tmp_path, tmp_path / 'out']
    assert (
        describe_last_good([tmp_path, tmp_path / 'o'])
        == f'There is no good checkpoint in {tmp_path} and {tmp_path}/o'
    )


def test_the_default_runtime_has_the_hook():
    assert isinstance(HOOKS.build(dict(type='NonFiniteGuardHook')), NonFiniteGuardHook)
    with pytest.raises(ValueError, match='max_skipped must be at least 0, got -1'):
        NonFiniteGuardHook(max_skipped=-1)


def train_one_of_two(rank, port, folder):
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port
    )
    torch.set_num_threads(1)
    # Only the second process meets the fault, whose gradient is finite: nothing but the loss tells.
    items = [
        *GOOD[:2],
        (f'bad{rank}', 1.0, 'loss alone' if rank else 'good'),
        GOOD[2],
        *[(f'end{rank}', 1.0, 'loss alone' if rank else 'good')] * 2,
    ]
    model = Line()
    saved = Save()
    runner = Runner(
        model,
        folder,
        torch.utils.data.DataLoader(items, batch_size=1, collate_fn=collate),
        optim_wrapper=OptimWrapper(sgd(model)),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        launcher='pytorch',
        env_cfg=dict(dist_cfg=dict(backend='gloo')),
        custom_hooks=[NonFiniteGuardHook(max_skipped=1), saved],
        default_hooks=dict(checkpoint=None, logger=None, timer=None),
        randomness=dict(seed=1),
    )
    error = None
    try:
        runner.train()
    except NonFiniteError as raised:
        error = str(raised)
    torch.save(dict(states=saved.states, error=error), f'{folder}/{rank}.pt')


def test_all_processes_skip_and_stop_together(tmp_path, train):
    mp.start_processes(train_one_of_two, (free_port(), str(tmp_path)), nprocs=2, start_method='fork')
    one, two = (torch.load(tmp_path / f'{rank}.pt') for rank in range(2))
    assert len(one['states']) == len(two['states']) == 5
    assert all(map(same, one['states'], two['states']))
    assert same(one['states'][1], one['states'][2]) and not same(one['states'][2], one['states'][3])
    assert one['error'] == two['error'] and 'The videos' not in one['error']
    assert 'iteration 6' in one['error'] and 'Its videos: end0, end1' in one['error']
