"""The README against the project: what it shows must work as shown."""
import json
import re
import shutil
from pathlib import Path

import pytest

from .tools.conftest import config, tool  # noqa: F401  the fixtures

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()


@pytest.fixture(params=['retrieval', 'captioning'])
def mine(request, shapes, tmp_path) -> Path:
    """A folder laid out as the README says, and the README's config for it."""
    shutil.copytree(shapes / 'videos', tmp_path / 'data/mine/videos')
    for split, source in (('train', 'train'), ('val', 'test'), ('test', 'test')):
        shutil.copy(shapes / f'{source}.json', tmp_path / f'data/mine/{split}.json')
    snippet, = re.findall(r"```python\n(_base_ = '.*?)```", README, re.S)
    assert len(snippet.strip().splitlines()) <= 12
    if request.param == 'captioning':
        other, = re.findall(r"`_base_ =\s'(clip4clip.*?)'`", README)
        snippet = re.sub("'clip4clip_.*?'", f"'{other}'", snippet)
    folder = ROOT / f'configs/{request.param}/clip4clip'
    path = tmp_path / f'{request.param}.py'
    path.write_text(snippet.replace("_base_ = '", f"_base_ = '{folder}/"))
    return path


def test_the_config_for_ones_own_videos_trains_and_tests(mine, tool, shapes, tmp_path):  # noqa: F811
    tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=1, num_attention_heads=2)
    options = ['env_cfg.dist_cfg.backend=gloo', 'model.backbone.pretrained=None',
               'model.backbone.config.projection_dim=64']
    options += [f'model.backbone.config.{part}_config.{k}={v}' for part in ('text', 'vision')
                for k, v in tower.items()]
    for part in ('train', 'val', 'test'):
        options += [f'{part}_dataloader.num_workers=0', f'{part}_dataloader.persistent_workers=False',
                    f'{part}_dataloader.dataset.pipeline.4.tokenizer={shapes}/tokenizer']
    captioning = mine.stem == 'captioning'
    if captioning:
        options += [*(f'model.adapter.{k}={v}' for k, v in dict(width=64, num_layers=1, num_heads=2).items()),
                    f'model.tokenizer={shapes}/tokenizer', 'model.generation.max_new_tokens=5',
                    'val_evaluator.1.java=False', 'test_evaluator.1.java=False']
    tool('train.py', mine, '--work-dir', 'w', '--cfg-options', *options, 'train_cfg.max_epochs=1',
         'default_hooks.report.gallery=0')
    tool('test.py', mine, 'w/epoch_1.pth', '--work-dir', 't', '--cfg-options', *options)
    entry, = json.loads((tmp_path / 't/metrics.json').read_text())
    assert entry['retrieval/R10'] >= 0 and ('caption/CIDEr' in entry) == captioning


def test_every_file_that_the_readme_names_exists():
    for path in re.findall(r'\]\(([^)#]+)\)', README) + re.findall(r'(?:tools|configs)/[\w/.-]+\.py', README):
        if not path.startswith('http') and 'mine.py' not in path:
            assert (ROOT / path).exists(), path


def test_every_flag_that_the_readme_names_exists():
    train = (ROOT / 'tools/train.py').read_text() + (ROOT / 'mmclip4clip/apis/launch.py').read_text()
    line, = re.findall(r"has mmaction2's flags: `(.*?)`", README, re.S)
    for flag in re.findall(r'--[\w-]+', line):
        assert f"'{flag}'" in train, flag


def test_every_make_target_that_the_readme_names_exists():
    makefile = (ROOT / 'Makefile').read_text()
    for target in re.findall(r'^make (\w+)', README, re.M):
        assert f'\n{target}:' in makefile, target
