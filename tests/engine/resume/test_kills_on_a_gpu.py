"""On a GPU: trainings with ``--deterministic``, in full and in mixed precision, are killed and lose nothing.

They begin in processes of their own: CUDA does not go on in a fork.
"""

import os
import signal
import subprocess
import sys

import pytest
import torch

from ...tools.conftest import ROOT
from .conftest import SMALL
from .kill_harness import assert_same_run
from .test_kills_of_every_model import MODELS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
KILLED = """
import os, runpy, signal, sys
from mmengine.runner import Runner
place, number, sys.argv = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
call_hook = Runner.call_hook
def call_hook_or_die(self, name, **kwargs):
    global number
    call_hook(self, name, **kwargs)
    number -= name == place
    if number == 0 and name == place:
        os.kill(os.getpid(), signal.SIGKILL)
Runner.call_hook = call_hook_or_die
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.mark.parametrize('precision', [[], ['--amp']], ids=['full', 'mixed'])
@pytest.mark.parametrize('model', MODELS)
def test_a_run_that_is_killed_on_a_gpu_ends_as_a_whole_one(module_config, shapes, tmp_path, model, precision):
    options = [*SMALL, *MODELS[model]]
    if model == 'captioner':
        options.append(f'model.tokenizer={shapes}/tokenizer')

    def train(name, *args, killed=None):
        before = [sys.executable, *(['-c', KILLED, *map(str, killed)] if killed else [])]
        done = subprocess.run(
            [
                *before,
                str(ROOT / 'tools/train.py'),
                module_config,
                '--work-dir',
                str(tmp_path / name),
                '--deterministic',
                *precision,
                *args,
                '--cfg-options',
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(os.environ),
            timeout=300,
        )
        assert done.returncode == (-signal.SIGKILL if killed else 0), done.stdout[-4000:]

    train('whole')
    state = torch.load(tmp_path / 'whole/epoch_3.pth', weights_only=True, map_location='cpu')
    assert ('loss_scaler' in state['optimizer']) == bool(precision)
    train('again')
    assert_same_run(tmp_path / 'again', tmp_path / 'whole')
    train('killed', killed=('after_train_iter', 1))
    train('killed', '--resume', killed=('after_train_iter', 3))
    train('killed', '--resume', killed=('after_val_iter', 2))
    train('killed', '--resume')
    assert_same_run(tmp_path / 'killed', tmp_path / 'whole')
