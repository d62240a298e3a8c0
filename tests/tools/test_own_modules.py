"""docs/own-modules.md, followed to the letter on tiny data."""

import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from ..forks import fork_tool, wait_for

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'docs/own-modules.md').read_text()
SMALL = [
    'train_cfg.max_epochs=1',
    'train_cfg.val_begin=1',
    'default_hooks.report.gallery=0',
    'train_dataloader.batch_size=8',
    *(f'{part}_dataloader.num_workers=0' for part in ('train', 'val', 'test')),
    *(f'{part}_dataloader.persistent_workers=False' for part in ('train', 'val', 'test')),
]


def commands() -> list[list[str]]:
    """Read the commands of the page, each as words."""
    blocks = re.findall(r'^```bash\n(.*?)^```', TEXT, re.S | re.M)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.fixture
def project(shapes, tmp_path) -> Path:
    """A folder with the files of the page and the configs."""
    for path, content in re.findall(r'^```python\n# (\S+)\n(.*?)^```', TEXT, re.S | re.M):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    (tmp_path / 'data').mkdir()
    for split in ('train', 'test'):
        (tmp_path / f'data/{split}.json').write_text((shapes / f'{split}.json').read_text())
    (tmp_path / 'data/val.json').write_text((shapes / 'test.json').read_text())
    for folder in ('videos', 'tokenizer'):
        (tmp_path / 'data' / folder).symlink_to(shapes / folder)
    return tmp_path


def test_each_part_is_found_by_its_name_and_trains(project):
    assert [words[:2] for words in commands()] == [['PYTHONPATH=.', 'python']] * 3

    def prepare():
        os.environ['MOVING_SHAPES'] = str(project / 'data')
        sys.path.insert(0, str(project))

    for _, _, tool, *args in commands():
        args = [arg.replace('epoch_8', 'epoch_1') for arg in args]
        log = project / 'log'
        pid = fork_tool(ROOT / tool, [*args, '--cfg-options', *SMALL], log, folder=project, prepare=prepare)
        assert wait_for([pid]) == [0], log.read_text()[-3000:]
    figures = json.loads((project / 'work_dirs/weighted/metrics.json').read_text())[-1]
    assert -1 <= figures['own/mean'] <= 1 and 'retrieval/R1' in figures
    assert 'retrieval/R1' in json.loads((project / 'work_dirs/small/metrics.json').read_text())[-1]
