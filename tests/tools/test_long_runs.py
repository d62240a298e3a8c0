"""A training of many steps and evaluations holds no more memory, files and objects at its end than before.

``EVALUATIONS=50 python -m pytest -m long tests/tools/test_long_runs.py`` trains 3,000 steps.
"""

import gc
import os
import time
from pathlib import Path

import numpy as np
import pytest
from mmaction.registry import HOOKS
from mmengine.hooks import Hook

EVALUATIONS = int(os.environ.get('EVALUATIONS', 8))


def list_children():
    return Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()


class WhatIsHeld(Hook):
    """Note after each evaluation what the process and its workers hold."""

    priority = 'LOWEST'
    noted: list

    def after_val_epoch(self, runner, metrics=None):
        gc.collect()
        deadline = time.monotonic() + 20
        while len(children := list_children()) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)  # a reader of videos that is ending, on a busy machine
        self.noted.append(
            dict(
                iter=runner.iter,
                files=len(os.listdir('/proc/self/fd')),
                processes=len(children),
                threads=len(os.listdir('/proc/self/task')),
                objects=len(gc.get_objects()),
                bytes=sum(
                    int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * 4096
                    for pid in [os.getpid(), *children]
                ),
            )
        )


@pytest.mark.parametrize(
    'evaluations, steps', [(4, 4), pytest.param(EVALUATIONS, 60, marks=pytest.mark.long)]
)
def test_nothing_grows(tool, config, monkeypatch, tmp_path, evaluations, steps):
    noted = WhatIsHeld.noted = []
    monkeypatch.setitem(HOOKS.module_dict, 'WhatIsHeld', WhatIsHeld)
    epochs = steps // 4  # of 8 videos in batches of 2, from one evaluation to the next
    path = tmp_path / 'watched.py'
    path.write_text(f"_base_ = '{config}'\ncustom_hooks = [dict(type='WhatIsHeld')]\n")
    tool(
        'train.py',
        path,
        '--seed',
        0,
        '--work-dir',
        'w',
        '--cfg-options',
        'train_dataloader.batch_size=2',
        'train_dataloader.dataset.indices=8',
        'val_dataloader.dataset.indices=8',
        'train_dataloader.num_workers=1',
        'train_dataloader.persistent_workers=True',
        f'train_cfg.max_epochs={epochs * evaluations}',
        f'train_cfg.val_interval={epochs}',
        f'default_hooks.checkpoint.interval={epochs}',
        'default_hooks.checkpoint.max_keep_ckpts=2',
        'default_hooks.report.gallery=2',
    )
    assert [note['iter'] for note in noted] == [steps * (n + 1) for n in range(evaluations)]
    assert len(list((tmp_path / 'w').glob('epoch_*.pth'))) == 2
    held = {key: [note[key] for note in noted] for key in noted[0]}
    quarter = evaluations // 4
    for key in ('files', 'processes', 'threads'):
        assert max(held[key][-quarter:]) <= max(held[key][quarter : 2 * quarter]), (key, held[key])
    early, late = (
        np.median(part, axis=0)
        for part in (
            [(note['objects'], note['bytes']) for note in part]
            for part in (noted[quarter : 2 * quarter], noted[-quarter:])
        )
    )
    # A logged number a step and an entry an evaluation are kept; a batch, a video or a model are not.
    assert late[0] - early[0] < 20 * steps * evaluations, held['objects']
    assert late[1] - early[1] < 20e6, held['bytes']
    print({key: (values[quarter], values[-1]) for key, values in held.items()})
