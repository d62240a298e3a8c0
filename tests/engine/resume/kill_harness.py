"""Trainings in forked processes, killed at chosen or random places, and the comparison with a whole one.

run = KilledTraining(config, tmp_path, 'model.adapter.type=TightAdapter', processes=2)
run.train('whole')
run.train('killed', Kill('replace', 'epoch_1.pth'))
run.train('killed', resume=True)
assert_same_run(tmp_path / 'killed', tmp_path / 'whole')
"""

import fnmatch
import functools
import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmclip4clip.compat import apply_patches

from ...forks import fork_tool, wait_for
from ...tools.conftest import ROOT, free_port

apply_patches()  # so that checkpoints with the states of mmengine load as plain data


@dataclass
class Kill:
    """Where a training kills itself.

    Args:
        at (str): ``'write'``, when half of a file is written; ``'replace'`` and ``'replaced'``, before and
            after it takes its name; ``'remove'``, before it is removed; or the name of a method of hooks,
            such as ``'after_val_iter'``.
        name (str): Pattern of the file.
        number (int): Which time, from 1.
    """

    at: str
    name: str = '*'
    number: int = 1

    def count(self, path=None) -> bool:
        """Count one event and tell whether it is the one."""
        if path is not None and not fnmatch.fnmatch(os.path.basename(path), self.name):
            return False
        self.number -= 1
        return self.number == 0


@dataclass
class KilledTraining:
    """Trainings of one config in forked processes.

    Args:
        config (str): Config file.
        folder (Path): Where the work dirs are.
        options (list[str]): ``--cfg-options``.
        processes (int): Processes of a training.
    """

    config: str
    folder: Path
    options: list[str]
    processes: int = 1

    def train(
        self,
        name: str,
        kill: Kill | None = None,
        resume: bool | str = False,
        after: float = 0.0,
        options: list[str] = (),
        check: bool = True,
    ) -> list[int]:
        """Train, and return how the processes ended, minus the signal where they were killed.

        Args:
            name (str): Work dir.
            kill (Kill, optional): Where the first process kills itself.
            resume (bool | str): Whether to give ``--resume``, or a checkpoint to give with it.
            after (float): Kill all processes after this many seconds, if above 0.
            options (list[str]): More ``--cfg-options``.
            check (bool): Whether to fail if a training ends otherwise than it should.
        """
        args = [self.config, '--work-dir', str(self.folder / name)]
        args += ['--resume', resume] if isinstance(resume, str) else ['--resume'] * resume
        if self.processes > 1:
            args += ['--launcher', 'pytorch']
        args += ['--cfg-options', *self.options, *options]
        log, port = self.folder / f'{name}.log', free_port()
        ends = wait_for(
            [
                fork_tool(
                    ROOT / 'tools/train.py',
                    args,
                    log,
                    rank,
                    self.processes,
                    port,
                    prepare=functools.partial(_prepare, kill if rank == 0 else None),
                )
                for rank in range(self.processes)
            ],
            after,
        )
        if check and not after:
            expected = -signal.SIGKILL if kill else 0
            assert ends[0] == expected, f'{name}: {ends} instead of {expected}\n{log.read_text()[-3000:]}'
        return ends

    def time_of(self, name: str) -> float:
        """Train without a kill and return how many seconds it took."""
        begin = time.monotonic()
        self.train(name)
        return time.monotonic() - begin


def _prepare(kill: Kill | None) -> None:
    """Prepare a process of a training; it ends with it, so nothing is put back."""
    _set_scores()
    if kill:
        _set_trap(kill)


def _set_scores() -> None:
    """Let epoch 2 be the best: in so short a training that depends on the versions of torch and numpy."""
    call_hook = Runner.call_hook

    def call_hook_with_score(self, name: str, **kwargs) -> None:
        if name == 'after_val_epoch' and 'retrieval/R1' in kwargs['metrics']:
            kwargs['metrics']['retrieval/R1'] = 100.0 - abs(self.epoch - 2)
        call_hook(self, name, **kwargs)

    Runner.call_hook = call_hook_with_score


def _set_trap(kill: Kill) -> None:
    """Let this process kill itself."""
    fsync, replace, remove = os.fsync, os.replace, os.remove

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def fsync_or_die(number: int) -> None:
        if stat.S_ISREG(os.fstat(number).st_mode) and kill.count(
            os.readlink(f'/proc/self/fd/{number}').removesuffix('.unfinished')
        ):
            os.ftruncate(number, os.fstat(number).st_size // 2)
            die()
        fsync(number)

    def replace_or_die(source, target, **kwargs) -> None:
        if kill.at == 'replaced':
            replace(source, target, **kwargs)
        if kill.count(target):
            die()
        if kill.at == 'replace':
            replace(source, target, **kwargs)

    def remove_or_die(path, **kwargs) -> None:
        if kill.count(path):
            die()
        remove(path, **kwargs)

    if kill.at == 'write':
        os.fsync = fsync_or_die
    elif kill.at in ('replace', 'replaced'):
        os.replace = replace_or_die
    elif kill.at == 'remove':
        os.remove = remove_or_die
    else:
        call_hook = Runner.call_hook
        assert hasattr(Hook, kill.at), kill.at

        def call_hook_or_die(self, name: str, **kwargs) -> None:
            call_hook(self, name, **kwargs)
            if name == kill.at and kill.count():
                die()

        Runner.call_hook = call_hook_or_die


def assert_same_run(killed: Path, whole: Path, figures: bool = True) -> None:
    """See that a run which was killed has left what a whole one leaves: files, weights, states, figures.

    Args:
        killed (Path): Its work dir.
        whole (Path): That of the whole one.
        figures (bool): Whether to compare ``metrics.json``.
    """
    names = sorted(path.name for path in whole.glob('*.pth'))
    assert sorted(path.name for path in killed.glob('*.pth')) == names
    assert not list(killed.glob('*.unfinished'))
    for name in names:
        a, b = (torch.load(folder / name, weights_only=True) for folder in (killed, whole))
        for difference in _differences(_lasting(a), _lasting(b)):
            raise AssertionError(f'{name}: {difference}')
    last = [(folder / 'last_checkpoint').read_text().split('/')[-1] for folder in (killed, whole)]
    assert last[0] == last[1]
    assert not figures or _figures(killed) == _figures(whole)


def _lasting(checkpoint: dict) -> dict:
    """Return what must be equal of a checkpoint: all but names of runs and times."""
    known = checkpoint['message_hub']['runtime_info']
    kept = {key: known.get(key) for key in known if key.startswith(('best', 'keep', 'last', 'evaluated'))}
    parts = {key: value for key, value in checkpoint.items() if key not in ('meta', 'message_hub')}
    return dict(parts, known=kept, steps={key: checkpoint['meta'][key] for key in ('epoch', 'iter', 'seed')})


def _differences(a, b, where: str = '') -> Iterator[str]:
    """Yield where two nests of containers and tensors differ, to the bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in {**a, **b}:
            if key not in a or key not in b:
                yield f'{where}[{key!r}] is in one alone'
            else:
                yield from _differences(a[key], b[key], f'{where}[{key!r}]')
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        for number, pair in enumerate(zip(a, b)):
            yield from _differences(*pair, f'{where}[{number}]')
    elif isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if not torch.equal(a, b):
            yield f'{where} differs by {(a - b).abs().max() if a.shape == b.shape else "shape"}'
    elif a != b:
        yield f'{where} is {a} instead of {b}'


def _figures(folder: Path) -> list:
    """Return the entries of ``metrics.json`` without what names the run."""
    path = folder / 'metrics.json'
    entries = json.loads(path.read_text()) if path.exists() else []
    return [
        {key: value for key, value in entry.items() if key not in ('run', 'checkpoint')} for entry in entries
    ]
