"""Trainings give bit-identical weights with any number of workers, and after every kind of stop."""

import json
import os
import signal

import pytest
import torch

from mmclip4clip.engine.hooks import StopSignalHook, TrainingStopped

from .conftest import weights

# XPool has dropout; random captions and shifts are drawn for each item.
DROPOUT = [
    '--seed',
    0,
    '--cfg-options',
    'model.adapter._delete_=True',
    'model.adapter.type=XPoolAdapter',
    'model.adapter.width=32',
    'train_dataloader.batch_size=2',
    'train_dataloader.dataset.indices=8',
    'val_dataloader.dataset.indices=8',
    'val_dataloader.num_workers=0',
]


@pytest.fixture(autouse=True)
def _handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def shifting(config, tmp_path):
    """The tiny config with a random transform."""
    path = tmp_path / 'shifting.py'
    path.write_text(
        f"_base_ = '{config}'\n"
        'p = _base_.pipeline\n'
        "shift = dict(type='RandomShift', pixels=6)\n"
        'train_dataloader = dict(dataset=dict(pipeline=[*p[:3], shift, *p[3:]]))\n'
    )
    return str(path)


def identical(a, b):
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def train(tool, config, folder, *options, resume=False):
    return tool('train.py', config, '--work-dir', folder, *['--resume'] * resume, *DROPOUT, *options)


_WHOLE = []


@pytest.fixture
def whole(tool, shifting, tmp_path_factory):
    """An uninterrupted training without workers, 2 epochs of 4 steps, made once."""
    if not _WHOLE:
        folder = tmp_path_factory.mktemp('whole')
        train(tool, shifting, folder)
        _WHOLE.append(folder / 'epoch_2.pth')
    return _WHOLE[0]


@pytest.mark.parametrize(
    'workers',
    [
        [1, False],
        pytest.param([2, True]),
        pytest.param([4, True], marks=pytest.mark.long),
        pytest.param([2, False], marks=pytest.mark.long),
    ],
)
def test_the_number_of_workers_changes_nothing(tool, shifting, whole, workers):
    train(
        tool,
        shifting,
        'w',
        f'train_dataloader.num_workers={workers[0]}',
        f'train_dataloader.persistent_workers={workers[1]}',
    )
    assert identical('w/epoch_2.pth', whole)


def test_a_run_without_validation_has_the_same_weights(tool, shifting, whole):
    train(tool, shifting, 'w', 'train_cfg.val_begin=9')
    assert identical('w/epoch_2.pth', whole)


def test_another_seed_has_other_weights(tool, shifting, whole):
    tool('train.py', shifting, '--work-dir', 'w', '--seed', 1, *DROPOUT[2:])
    assert not identical('w/epoch_2.pth', whole)


@pytest.fixture
def at_step(monkeypatch):
    """Do something in the middle of a training step or of a batch of a validation."""

    def at_step(stage, number, action):
        from mmclip4clip.engine import ResumableTrainLoop, VideoTextValLoop

        loop = dict(train=ResumableTrainLoop, val=VideoTextValLoop)[stage]
        run_iter, count = loop.run_iter, []

        def acting(self, *args):
            count.append(1)
            if len(count) == number:
                action()
            return run_iter(self, *args)

        monkeypatch.setattr(loop, 'run_iter', acting)

    yield at_step
    monkeypatch.undo()


@pytest.mark.parametrize(
    'stage, number, name, saved, workers',
    [
        ('train', 2, 'SIGTERM', 'iter_2.pth', 1),  # within the first epoch
        ('train', 4, 'SIGUSR1', 'iter_4.pth', 0),  # its last step
        ('train', 7, 'SIGINT', 'iter_7.pth', 2),
        ('val', 2, 'SIGTERM', 'epoch_1.pth', 1),
    ],
)
def test_a_signal_saves_and_the_rest_is_exact(
    tool, shifting, whole, at_step, monkeypatch, tmp_path, stage, number, name, saved, workers
):
    sent = signal.Signals[name]
    at_step(stage, number, lambda: os.kill(os.getpid(), sent))
    with pytest.raises(TrainingStopped) as stop:
        train(tool, shifting, 'w', f'train_dataloader.num_workers={workers}')
    assert stop.value.code == 128 + sent
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / 'w' / saved).exists()
    train(tool, shifting, 'w', resume=True)
    assert identical('w/epoch_2.pth', whole)
    assert torch.load('w/epoch_2.pth', weights_only=True)['meta']['iter'] == 8


@pytest.mark.parametrize('interval, saved', [(1, 'epoch_1.pth'), (2, 'iter_4.pth')])
def test_a_signal_while_scores_are_computed_stops_after_the_evaluation(
    tool, shifting, whole, monkeypatch, tmp_path, interval, saved
):
    from mmclip4clip.engine import VideoTextValLoop

    score = VideoTextValLoop.score

    def score_and_ask(self, samples):
        os.kill(os.getpid(), signal.SIGTERM)
        return score(self, samples)

    monkeypatch.setattr(VideoTextValLoop, 'score', score_and_ask)
    with pytest.raises(TrainingStopped):
        train(tool, shifting, 'w', f'default_hooks.checkpoint.interval={interval}')
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert [entry['epoch'] for entry in json.loads((tmp_path / 'w/metrics.json').read_text())] == [1]
    assert [path.name for path in (tmp_path / 'w').glob('[ei]*.pth')] == [saved]
    assert torch.load(f'w/{saved}', weights_only=True)['meta']['iter'] == 4
    train(tool, shifting, 'w', f'default_hooks.checkpoint.interval={interval}', resume=True)
    assert identical('w/epoch_2.pth', whole)
    assert [entry['epoch'] for entry in json.loads((tmp_path / 'w/metrics.json').read_text())] == [1, 2]


def test_a_signal_exits_without_a_traceback(shifting, command, tmp_path, monkeypatch):
    (tmp_path / 'killer.py').write_text(
        'import os, signal\nfrom mmengine.hooks import Hook\nfrom mmaction.registry import HOOKS\n'
        '@HOOKS.register_module()\nclass Killer(Hook):\n'
        '    def before_train_iter(self, runner, batch_idx, data_batch=None):\n'
        '        if runner.iter == 1:\n            os.kill(os.getpid(), signal.SIGTERM)\n'
    )
    (tmp_path / 'killed.py').write_text(
        f"_base_ = '{shifting}'\ncustom_imports = dict(imports=['mmclip4clip', 'killer'])\n"
        "custom_hooks = [dict(type='Killer')]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    args = ['--work-dir', 'w', '--cfg-options', 'train_dataloader.num_workers=1']
    printed = command('train.py', 'killed.py', *args, end=128 + signal.SIGTERM)
    assert 'Traceback' not in printed and 'SIGTERM: saved after 2 iterations in ' in printed


def test_a_checkpoint_within_an_epoch_resumes_at_the_next_step(tool, shifting, whole):
    steps = ['default_hooks.checkpoint.by_epoch=False', 'default_hooks.checkpoint.interval=3']
    train(tool, shifting, 'w', *steps, 'train_dataloader.num_workers=1')  # which are some batches ahead
    for name in ('iter_3.pth', 'iter_6.pth'):
        train(tool, shifting, name[:6], '--resume', f'w/{name}')
        assert identical(f'{name[:6]}/epoch_2.pth', whole)


def test_a_run_without_a_seed_resumes_with_the_order_that_it_had(tool, shifting, tmp_path):
    options = [o for o in DROPOUT if o not in ('--seed', 0)] + ['randomness.seed=None']
    tool('train.py', shifting, '--work-dir', 'w', *options)
    tool('train.py', shifting, '--work-dir', 'v', '--resume', 'w/epoch_1.pth', *options)
    assert identical('v/epoch_2.pth', 'w/epoch_2.pth')


def test_unknown_signals_are_refused():
    with pytest.raises(ValueError, match=r"signals must be names such as SIGTERM, got \['TERM'\]"):
        StopSignalHook(['TERM'])


def test_a_checkpoint_holds_every_random_state(tool, shifting, whole):
    states = torch.load(whole, weights_only=True)['random_states']
    assert set(states['main_process']) >= {'python', 'numpy', 'torch'}
    assert states['sampler_seed'] == 0
