"""What a training and a test print."""

import functools
import re
import warnings

import pytest
import torch

from mmclip4clip.compat import ignore_missing_operators
from mmclip4clip.visualization.curves import read_losses

from .conftest import ROOT

FIRST_STEP = re.compile(r'Epoch\(train\) +\[1\]\[ *1/')


def lines_before_training(printed: str) -> list[str]:
    lines = printed.splitlines()
    (first, *_) = [number for number, line in enumerate(lines) if FIRST_STEP.search(line)]
    return lines[:first]


def test_the_advice_to_install_mmcv_is_suppressed():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        ignore_missing_operators.__wrapped__()
        warnings.warn('Fail to import ``MultiScaleDeformableAttention`` from ``mmcv.ops``', stacklevel=1)
        warnings.warn('another warning', stacklevel=1)
    assert [str(warning.message) for warning in caught] == ['another warning']


DEPRECATIONS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
ONE_EPOCH = ('train_cfg.max_epochs=1', 'default_hooks.logger.interval=1')


def test_training_starts_within_40_lines_and_tells_where_the_config_is(command, config, tmp_path):
    printed = command('train.py', config, '--work-dir', 'w', '--cfg-options', *ONE_EPOCH)
    before = lines_before_training(printed)
    assert len(before) <= 40
    assert any('the full config is in' in line and '/w/tiny.py' in line for line in before)
    assert "type='CLIP4ClipRetriever'" in (tmp_path / 'w/tiny.py').read_text()
    assert any('optimized tensors' in line for line in before)
    assert any('WorkDirLockHook' in line for line in before)
    log = next((tmp_path / 'w').glob('*/*.log')).read_text()
    assert len(lines_before_training(log)) <= 40
    assert not re.search('Fail to import|FutureWarning|DeprecationWarning|will be deprecated', printed)


def test_full_log_is_that_of_mmengine(command, config):
    printed = command('train.py', config, '--cfg-options', *ONE_EPOCH, 'full_log=True')
    before = lines_before_training(printed)
    assert len(before) > 100 and any('before_train_epoch' in line for line in before)


def test_frozen_models_start_within_40_lines_too(command, config):
    options = (
        *ONE_EPOCH,
        'optim_wrapper.optimizer.weight_decay=0.05',
        'optim_wrapper.paramwise_cfg.bias_decay_mult=0.',
        'model.backbone.frozen_layers=1',
    )
    printed = command('train.py', config, '--cfg-options', *options)
    assert len(lines_before_training(printed)) <= 40
    frozen = re.search(r'optimized tensors: .*; (\d+) are frozen', printed)
    assert int(frozen[1]) > 0


def test_a_misspelt_key_is_warned_about(command, config, tmp_path):
    with open(config, 'a') as file:
        file.write('optim_wraper = dict(clip_grad=dict(max_norm=1.0))\n')
    printed = command('train.py', config, '--cfg-options', *ONE_EPOCH)
    assert (
        printed.count("the config sets 'optim_wraper', which nothing reads: is 'optim_wrapper' meant?") == 1
    )


@pytest.mark.parametrize('options', [['runner_type=FlexibleRunner'], ['compile=often']])
def test_settings_that_would_be_ignored_stop_the_start(tool, config, options):
    with pytest.raises(ValueError, match='strategy must be|compile must be'):
        tool('train.py', config, '--cfg-options', *options)


def test_compile_reaches_training_and_a_test_says_that_it_runs_without(tool, config, monkeypatch, capfd):
    compiled = []

    @functools.wraps(torch.compile)  # with its arguments, which are checked
    def compile(function, **options):
        compiled.append((function.__name__, options))
        return function

    monkeypatch.setattr(torch, 'compile', compile)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        tool('train.py', config, '--work-dir', 'w', '--cfg-options', *ONE_EPOCH, 'compile.backend=eager')
        tool('test.py', config, 'w/epoch_1.pth', '--cfg-options', 'compile=True')
    ours = [warning for warning in caught if str(ROOT / 'mmclip4clip') in warning.filename]
    assert not [str(warning) for warning in ours if issubclass(warning.category, DEPRECATIONS)]
    assert compiled == [('train_step', dict(backend='eager'))]
    printed = ''.join(capfd.readouterr())
    assert printed.count('compile acts on training steps only: this test runs without it') == 1


@pytest.mark.long
def test_a_compiled_model_trains_with_the_same_losses(command, config, tmp_path):
    flags = ('--seed', 0, '--cfg-options', 'train_cfg.max_epochs=2', 'default_hooks.logger.interval=1')
    command('train.py', config, '--work-dir', 'plain', *flags)
    printed = command('train.py', config, '--work-dir', 'compiled', *flags, 'compile.backend=eager')
    assert 'Model has been "compiled"' in printed
    # Not the weights: keys' biases cancel in the softmax, so AdamW moves them by rounding alone.
    plain, compiled = (read_losses(tmp_path / name)['loss'] for name in ('plain', 'compiled'))
    assert len(plain) > 3 and [step for step, _ in plain] == [step for step, _ in compiled]
    assert [loss for _, loss in compiled] == pytest.approx([loss for _, loss in plain], rel=1e-3)
