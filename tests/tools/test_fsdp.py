"""Trainings whose weights, gradients and optimizer state are divided among two processes (FSDP)."""

import json
import os
from pathlib import Path

import pytest
import torch

from .conftest import ROOT, weights

OPTIONS = [
    'train_dataloader.batch_size=4',
    'optim_wrapper.optimizer.type=SGD',
    'optim_wrapper.optimizer.lr=0.1',
]
OPTIONS += ['optim_wrapper.optimizer.momentum=0.9']


@pytest.fixture
def sharded(config, tmp_path):
    """The tiny config with the base for FSDP."""
    path, text = tmp_path / 'sharded.py', Path(config).read_text()
    base = f'{ROOT}/configs/_base_/'
    text = text.replace(
        f"_base_ = '{base}default_runtime.py'",
        f"_base_ = ['{base}default_runtime.py', '{base}strategies/fsdp.py']",
    )
    path.write_text(text)
    return str(path)


def test_a_divided_training_is_that_without_and_resumes(command, config, sharded, tmp_path):
    for name, file in (('whole', config), ('divided', sharded)):
        flags = ['--work-dir', name, '--seed', 0, '--cfg-options', *OPTIONS]
        flags += ['model.backbone.gradient_checkpointing=True'] * (name == 'divided')  # the same to the bit
        log = command('train.py', file, *flags, processes=2)
    assert 'ResumableFSDPStrategy' in (tmp_path / 'divided/sharded.py').read_text()
    assert 'trained parameters: ' in log and '(100.00%)' in log
    whole, divided = (weights(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'divided'))
    assert list(whole) == list(divided)
    for name, value in whole.items():
        torch.testing.assert_close(divided[name], value, rtol=1e-3, atol=1e-5, msg=name)
    figures = [json.loads((tmp_path / name / 'metrics.json').read_text()) for name in ('whole', 'divided')]
    for one, other in zip(*figures, strict=True):
        assert one['retrieval/MnR'] == other['retrieval/MnR'] and one['iter'] == other['iter']

    os.remove(tmp_path / 'divided/epoch_2.pth')  # as if stopped after the first epoch
    (tmp_path / 'divided/last_checkpoint').write_text('divided/epoch_1.pth')
    log = command('train.py', sharded, '--resume', *flags, processes=2)
    assert 'resumed epoch: 1, iter: 2' in log
    resumed = torch.load(tmp_path / 'divided/epoch_2.pth', weights_only=True)
    assert all(torch.equal(resumed['state_dict'][name], value) for name, value in divided.items())
    assert resumed['meta']['epoch'] == 2 and resumed['meta']['iter'] == 4

    command('test.py', sharded, 'divided/epoch_2.pth', '--work-dir', 'tested')  # in one process
    (tested,) = json.loads((tmp_path / 'tested/metrics.json').read_text())
    assert tested['retrieval/MnR'] == figures[1][1]['retrieval/MnR']

    text = command(
        'train.py',
        sharded,
        '--resume',
        'whole/epoch_1.pth',
        *flags[2:],
        '--work-dir',
        'x',
        processes=2,
        end=1,
    )
    assert 'a training without FSDP saved this checkpoint' in text
