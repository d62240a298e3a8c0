"""The scripts that start several processes, on one machine, on several, and with Slurm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..forks import fork_tool, wait_for
from ..fresh_process import run_fresh
from .conftest import ROOT, free_port

# Stands in for python or srun: writes the arguments, and what the scripts set in the environment.
RECORDER = """#!{python}
import json, os, sys
kept = {{name: os.environ.get(name) for name in ('MASTER_PORT',)}}
json.dump([sys.argv[1:], kept], open({out!r}, 'w'))
"""


@pytest.fixture
def start(tmp_path):
    """Run a script where a recorder stands in for a program, and return what that got."""

    def start(script, program, *args, **environment):
        out, path = tmp_path / 'recorded.json', tmp_path / 'bin' / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(RECORDER.format(python=sys.executable, out=str(out)))
        path.chmod(0o755)
        names = dict(PATH=f'{path.parent}{os.pathsep}{os.environ["PATH"]}', HOME=str(tmp_path))
        done = subprocess.run(
            ['bash', str(ROOT / 'tools' / script), *args],
            env=names | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(out.read_text())

    return start


def options(args: list[str]) -> dict[str, str]:
    """Return the options before the tool by name."""
    return dict(arg.removeprefix('--').split('=', 1) for arg in args if arg.startswith('--') and '=' in arg)


@pytest.mark.parametrize('script, args', [('dist_train.sh', 2), ('dist_test.sh', 3)])
def test_a_machine_of_several_gets_its_rank_and_the_address(start, script, args):
    given = ['my config.py', *(['epoch 1.pth'] if args == 3 else []), '4', '--work-dir', 'a b']
    nodes = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.7', PORT='29511')
    got, _ = start(script, 'python', *given, **nodes)
    assert got[:2] == ['-m', 'torch.distributed.run']
    expected = dict(
        nnodes='2', node_rank='1', master_addr='10.0.0.7', master_port='29511', nproc_per_node='4'
    )
    assert options(got) == expected
    tool = 'train.py' if args == 2 else 'test.py'
    rest = got[2 + len(expected) :]
    assert Path(rest[0]).samefile(ROOT / 'tools' / tool)
    assert rest[1:] == [*given[: args - 1], '--launcher', 'pytorch', '--work-dir', 'a b']
    alone = options(start(script, 'python', *given)[0])
    assert (alone['nnodes'], alone['node_rank'], alone['master_addr']) == ('1', '0', '127.0.0.1')


# Stands in for train.py: writes its arguments and the variables that mmengine reads of each process.
RANK = """
import json, os, sys
names = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
json.dump([sys.argv[1:], *map(os.environ.get, names)], open(f'{os.environ["RANK"]}.json', 'w'))
sys.exit(int(sys.argv[1]))
"""
LAUNCHER = "import runpy; runpy.run_module('torch.distributed.run', run_name='__main__')"


@pytest.mark.parametrize('status', ['0', '3'])
def test_the_launcher_gives_each_process_its_rank(start, tmp_path, status):
    """Forks of a test join with these variables; training by the whole script is a long test."""
    port = free_port()
    (tmp_path / 'train.py').write_text(RANK)
    got, _ = start('dist_train.sh', 'python', status, '2', '--work-dir', 'a b', PORT=port)
    place = got.index('--launcher') - 2  # the tool, after which come its arguments
    args = [*got[2:place], str(tmp_path / 'train.py'), *got[place + 1 :]]
    done = run_fresh(LAUNCHER, *args, folder=tmp_path)
    assert bool(done.returncode) == (status != '0'), done.printed
    for rank in ('0', '1') if status == '0' else ():
        arguments, *variables = json.loads((tmp_path / f'{rank}.json').read_text())
        assert arguments == [status, '--launcher', 'pytorch', '--work-dir', 'a b']
        assert variables == [rank, rank, '2', '127.0.0.1', port]


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_slurm_gets_a_task_for_each_gpu(start, script):
    train = script == 'slurm_train.sh'
    given = ['gpus', 'my job', 'my config.py', 'work dir' if train else 'epoch 1.pth', '--seed', '1']
    got, kept = start(script, 'srun', *given, GPUS='16', PORT='29512', SRUN_ARGS='--time=1:00:00 --exclusive')
    expected = {
        'partition': 'gpus',
        'job-name': 'my job',
        'gres': 'gpu:8',
        'ntasks': '16',
        'ntasks-per-node': '8',
    }
    expected |= {'cpus-per-task': '5', 'kill-on-bad-exit': '1', 'time': '1:00:00'}
    program = got.index('python')
    assert options(got[:program]) == expected and '--exclusive' in got[:program]
    assert kept == dict(MASTER_PORT='29512')
    assert got[program + 1] == '-u'
    assert Path(got[program + 2]).samefile(ROOT / 'tools' / ('train.py' if train else 'test.py'))
    place = ['--work-dir', 'work dir'] if train else ['epoch 1.pth']
    assert got[program + 3 :] == ['my config.py', *place, '--launcher', 'slurm', '--seed', '1']
    few = options(start(script, 'srun', *given, GPUS='2')[0])
    assert (few['gres'], few['ntasks'], few['ntasks-per-node']) == ('gpu:2', '2', '2')


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'])
def test_too_few_arguments_show_the_usage(script):
    done = subprocess.run(['bash', str(ROOT / 'tools' / script), 'one'], capture_output=True, text=True)
    assert done.returncode == 2 and f'tools/{script} ' in done.stdout
    assert not any(line.startswith('set ') for line in done.stdout.splitlines())


def test_two_tasks_of_slurm_train_together(config, tmp_path):
    """With the variables that Slurm sets for each task, and its program that lists the machines of a job."""
    (tmp_path / 'bin').mkdir()
    scontrol = tmp_path / 'bin/scontrol'
    scontrol.write_text('#!/bin/sh\n[ "$1 $2 $3" = "show hostnames here[1-2]" ] && echo 127.0.0.1\n')
    scontrol.chmod(0o755)
    port, log = free_port(), tmp_path / 'printed.log'
    args = [config, '--launcher', 'slurm', '--work-dir', 'w', '--no-validate', '--cfg-options']
    args += ['train_cfg.max_epochs=1', 'train_dataloader.batch_size=4']

    def task(rank):
        def prepare():
            for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR'):
                os.environ.pop(name, None)
            os.environ.update(
                SLURM_PROCID=str(rank),
                SLURM_LOCALID='0',
                SLURM_NTASKS='2',
                SLURM_NODELIST='here[1-2]',
                MASTER_PORT=port,
                PATH=f'{scontrol.parent}{os.pathsep}{os.environ["PATH"]}',
            )

        return fork_tool(ROOT / 'tools/train.py', args, log, rank, 2, port, tmp_path, prepare)

    assert wait_for([task(0), task(1)]) == [0, 0], log.read_text()[-3000:]
    assert ', 2 process(es) of ' in log.read_text() and (tmp_path / 'w/epoch_1.pth').exists()


@pytest.mark.long
def test_two_machines_train_together(config, tmp_path):
    """Two calls of dist_train.sh, as on two machines, with two processes each."""
    port, path = free_port(), os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH']
    args = ['--work-dir', 'w', '--no-validate', '--cfg-options', 'train_cfg.max_epochs=1']
    args += ['train_dataloader.batch_size=2']
    nodes = [
        subprocess.Popen(
            ['bash', str(ROOT / 'tools/dist_train.sh'), config, '2', *args],
            cwd=tmp_path,
            env=dict(os.environ, NNODES='2', NODE_RANK=str(rank), PORT=port, OMP_NUM_THREADS='1', PATH=path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    printed = [node.communicate()[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], printed[0][-2000:] + printed[1][-2000:]
    assert ', 4 process(es) of ' in printed[0] and (tmp_path / 'w/epoch_1.pth').exists()
