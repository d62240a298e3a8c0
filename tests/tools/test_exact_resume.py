"""Trainings give bit-identical weights with any number of workers, and after every kind of stop."""
import json
import os
import signal

import pytest
import torch

from mmclip4clip.engine.hooks import StopSignalHook, TrainingStopped

from .conftest import weights

# XPool has dropout; random captions and shifts are drawn for each item.
DROPOUT = ['--seed', 0, '--cfg-options', 'model.adapter._delete_=True', 'model.adapter.type=XPoolAdapter',
           'model.adapter.width=32', 'train_dataloader.batch_size=4', 'val_dataloader.num_workers=0']


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
    path.write_text(f"_base_ = '{config}'\n"
                    "p = _base_.pipeline\n"
                    "train_dataloader = dict(dataset=dict(pipeline=[*p[:3], dict(type='RandomShift', pixels=6), "
                    "*p[3:]]))\n")
    return str(path)


def identical(a, b):
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def train(tool, config, folder, *options, resume=False):
    return tool('train.py', config, '--work-dir', folder, *['--resume'] * resume, *DROPOUT, *options)


@pytest.fixture
def whole(tool, shifting):
    """An uninterrupted training without workers: 2 epochs of 4 steps."""
    train(tool, shifting, 'whole', 'train_dataloader.num_workers=0')
    return 'whole/epoch_2.pth'


@pytest.mark.parametrize('workers', [
    [1, False], pytest.param([2, True]), pytest.param([4, True], marks=pytest.mark.long),
    pytest.param([2, False], marks=pytest.mark.long)])
def test_the_number_of_workers_changes_nothing(tool, shifting, whole, workers):
    train(tool, shifting, 'w', f'train_dataloader.num_workers={workers[0]}',
          f'train_dataloader.persistent_workers={workers[1]}')
    assert identical('w/epoch_2.pth', whole)


def test_a_run_without_validation_has_the_same_weights(tool, shifting, whole):
    train(tool, shifting, 'w', 'train_cfg.val_begin=9')
    assert identical('w/epoch_2.pth', whole)


def test_another_seed_has_other_weights(tool, shifting, whole):
    tool('train.py', shifting, '--work-dir', 'w', '--seed', 1, *DROPOUT[2:])
    assert not identical('w/epoch_2.pth', whole)
