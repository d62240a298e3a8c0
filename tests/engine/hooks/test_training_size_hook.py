import multiprocessing as mp
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmclip4clip.engine import TrainingSizeHook
from mmclip4clip.engine.hooks import training_size_hook
from mmclip4clip.engine.hooks.training_size_hook import peak_memory


@pytest.fixture
def log(monkeypatch):
    log = []
    monkeypatch.setattr(training_size_hook, 'print_log', lambda message, **kwargs: log.append(message))
    return log


@pytest.fixture
def runner():
    model = torch.nn.Sequential(torch.nn.Linear(999, 2, bias=False), torch.nn.Linear(2, 1, bias=False))
    model[0].requires_grad_(False)
    return SimpleNamespace(model=model)


def test_the_start_of_training_says_how_many_parameters_train(log, runner):
    TrainingSizeHook().before_train(runner)
    assert log == ['trained parameters: 2 of 2,000 (0.10%)']


def test_the_end_says_the_peak_of_the_process(log, runner):
    hook = TrainingSizeHook()
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    hook.after_train(runner)
    assert log[1:] == [f'peak memory of the process: {peak_memory() / 2**20:,.0f} MiB']


def test_the_peak_of_a_gpu_outlives_the_resets_of_mmengines_log(log, runner, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    hook = TrainingSizeHook()
    for mebibytes in (3, 2000, 5):  # since the last reset
        monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda peak=mebibytes: peak * 2**20)
        hook.after_train_iter(runner, 0)
    hook.after_train(runner)
    assert log == ['peak memory of tensors on the GPU: 2,000 MiB']


def grow(pipe):
    before = peak_memory()
    block = b'x' * (before + 300 * 2**20)  # the process may be far below its peak when it begins
    held = peak_memory()
    del block
    pipe.send((held - before, peak_memory() - held))


@pytest.mark.parametrize('file', ['/proc/self/status', '/no/such/file'])
def test_the_peak_counts_memory_that_was_freed(file, monkeypatch):
    monkeypatch.setattr(training_size_hook, 'STATUS', Path(file))
    receive, send = mp.Pipe(duplex=False)
    process = mp.get_context('fork').Process(target=grow, args=(send,))
    process.start()
    grown, later = receive.recv()
    process.join()
    assert grown > 290 * 2**20 and abs(later) < 2**20  # the kernel counts in batches of pages
