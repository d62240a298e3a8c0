"""CONTRIBUTING.md, followed to the letter in a copy of the project, on tiny data."""

import json
import re
import shutil
from pathlib import Path

import pytest

from .fresh_process import run_fresh

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / 'CONTRIBUTING.md').read_text()
SECTIONS = dict(re.findall(r'^## Add an? (\w+)\n(.*?)(?=^## |\Z)', TEXT, re.S | re.M))
FOLLOW = """
import json, sys
from pathlib import Path
import mmclip4clip, pytest
from tests.forks import fork_tool, wait_for

assert Path(mmclip4clip.__file__).parents[1] == Path.cwd(), mmclip4clip.__file__
for tool, args in json.loads(sys.argv[1]):
    tool = Path(pytest.__file__).parent / '__main__.py' if tool == 'pytest' else Path(tool).absolute()
    assert wait_for([fork_tool(tool, args, Path('log'))]) == [0], (tool, Path('log').read_text()[-5000:])
"""
SMALL = [
    'train_cfg.max_epochs=1',
    'train_cfg.val_begin=1',
    'default_hooks.report.gallery=0',
    'env_cfg.dist_cfg.backend=gloo',
    'train_dataloader.batch_size=8',
    *(
        f'{part}_dataloader.{option}'
        for part in ('train', 'val', 'test')
        for option in ('num_workers=0', 'persistent_workers=False')
    ),
]


def tiny_clip(tokenizer: Path) -> list:
    """Give the --cfg-options that replace the pretrained CLIP by a small random one."""
    tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=1, num_attention_heads=2)
    return [
        'model.backbone.pretrained=None',
        'model.backbone.config.projection_dim=64',
        *(
            f'model.backbone.config.{part}_config.{key}={value}'
            for part in ('text', 'vision')
            for key, value in tower.items()
        ),
        *(f'{part}_dataloader.dataset.pipeline.3.tokenizer={tokenizer}' for part in ('train', 'val', 'test')),
    ]


@pytest.fixture
def project(tmp_path, shapes) -> Path:
    """A copy of the project with tiny data: moving shapes, and the same as tables and a folder of videos."""
    for folder in ('mmclip4clip', 'configs', 'tools', 'tests'):
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns('__pycache__', '.mim', '.pytest_cache'),
        )
    shutil.copytree(shapes, tmp_path / 'data/moving_shapes')
    shutil.copy(shapes / 'test.json', tmp_path / 'data/moving_shapes/val.json')
    shutil.copytree(shapes / 'videos', tmp_path / 'videos')
    (tmp_path / 'official').mkdir()
    for split in ('train', 'val', 'test'):
        annotations = tmp_path / f'data/moving_shapes/{split}.json'
        entries = json.loads(annotations.read_text())[:8]
        annotations.write_text(json.dumps(entries))
        rows = [f'{Path(e["video"]).name}\t{c}\n' for e in entries for c in e['captions'][:1]]
        (tmp_path / f'official/{split}.tsv').write_text('clip\tsentence\n' + ''.join(rows))
    return tmp_path


def write_blocks(section: str, project: Path) -> None:
    """Write each Python block where its first line says, at the end of what is there."""
    for path, content in re.findall(r'^```python\n# (\S+)\n(.*?)^```', section, re.S | re.M):
        (project / path).parent.mkdir(exist_ok=True)
        before = (project / path).read_text() + '\n' if (project / path).exists() else ''
        (project / path).write_text(before + content)


def commands(section: str) -> list:
    """Read a section's commands, each as words."""
    return [
        line.split()
        for block in re.findall(r'^```bash\n(.*?)^```', section, re.S | re.M)
        for line in block.splitlines()
    ]


def test_each_kind_takes_five_steps():
    assert set(SECTIONS) == {'adapter', 'dataset', 'metric'}
    for section in SECTIONS.values():
        assert re.findall(r'^(\d)\. ', section, re.M) == list('12345')


def test_the_steps_add_an_adapter_a_dataset_and_a_metric(project, shapes):
    tests, to_run = [], []
    for section in SECTIONS.values():
        write_blocks(section, project)
        for command in commands(section):
            if command[0] == 'ln':
                target = project / command[3]
                target.parent.mkdir(parents=True)
                target.symlink_to(command[2].replace('$PWD', str(project)))
                continue
            assert command[0] == 'python'
            tool, args = (command[2], command[3:]) if command[1] == '-m' else (command[1], command[2:])
            if tool == 'pytest':
                tests += args
                continue
            args = ['work_dirs/max/epoch_1.pth' if arg == 'CHECKPOINT' else arg for arg in args]
            if tool in ('tools/train.py', 'tools/test.py'):
                args += ['--cfg-options', *SMALL, *('kitchen' in args[0]) * tiny_clip(shapes / 'tokenizer')]
            to_run.append((tool, args))
    assert len(tests) == 3 and [tool for tool, _ in to_run] == [
        'tools/train.py',
        'tools/dataset_converters/convert.py',
        'tools/train.py',
        'tools/test.py',
    ]
    to_run.append(('pytest', tests))
    done = run_fresh(FOLLOW, json.dumps(to_run), folder=project)
    assert done.returncode == 0, done.printed
    for name, figure in (('max', 'retrieval/R1'), ('kitchen', 'retrieval/R1'), ('margin', 'margin/mean')):
        (entry,) = json.loads((project / f'work_dirs/{name}/metrics.json').read_text())
        assert figure in entry
    assert entry['margin/mean'] < 1
