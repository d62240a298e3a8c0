from pathlib import Path

import mmaction
import pytest
from mmengine.config import Config

from mmclip4clip.apis.config_keys import KNOWN_KEYS, misspelt_keys

ROOT = Path(__file__).parents[2]
SHIPPED = Path(mmaction.__file__).parent / '.mim/configs'  # mmaction2's own, in its wheel


def read(tmp_path, text, **bases) -> Config:
    for name, base in bases.items():
        (tmp_path / f'{name}.py').write_text(base)
    (tmp_path / 'c.py').write_text(text)
    return Config.fromfile(tmp_path / 'c.py')


@pytest.mark.parametrize(
    'key, meant',
    [
        ('optim_wraper', 'optim_wrapper'),
        ('optimwrapper', 'optim_wrapper'),
        ('train_dataloder', 'train_dataloader'),
        ('test_evalautor', 'test_evaluator'),
        ('custom_hook', 'custom_hooks'),
        ('param_schedulers', 'param_scheduler'),
        ('default_hook', 'default_hooks'),
        ('lod_from', 'load_from'),
        ('autoscale_lr', 'auto_scale_lr'),
        ('runer_type', 'runner_type'),
        ('find_unused_parameter', 'find_unused_parameters'),
        ('custom_import', 'custom_imports'),
    ],
)
def test_a_misspelt_key_is_named_with_what_was_meant(tmp_path, key, meant):
    assert misspelt_keys(read(tmp_path, f'{key} = dict(a=1)\nmodel = dict()')) == {key: meant}
    assert misspelt_keys(read(tmp_path, "_base_ = 'base.py'", base=f'{key} = 1')) == {key: meant}
    assert misspelt_keys(Config(dict(model=1)), [f'{key}.a']) == {key: meant}


def test_variables_that_the_files_use_are_no_mistakes(tmp_path):
    used = "work_dirs = 'runs'\nwork_dir = work_dirs + '/a'"
    assert misspelt_keys(read(tmp_path, used)) == {}
    leaf = "_base_ = 'base.py'\nwork_dir = '{{_base_.work_dirs}}'\nresume = _base_.resumed"
    assert misspelt_keys(read(tmp_path, leaf, base="work_dirs = 'runs'\nresumed = True")) == {}


def test_variables_with_other_names_are_no_mistakes(tmp_path):
    names = (
        'dataset_type',
        'data_root',
        'train_pipeline',
        'train_dataset',
        'loader',
        'clip',
        'tower',
        'num_gpus',
    )
    assert misspelt_keys(read(tmp_path, '\n'.join(f'{name} = 1' for name in names))) == {}


def test_arguments_of_both_runners_and_keys_of_mmengine_are_known():
    assert {
        'optim_wrapper',
        'strategy',
        'compile',
        'launcher',
        'default_scope',
        'auto_scale_lr',
    } <= KNOWN_KEYS
    assert 'self' not in KNOWN_KEYS


LEAVES = [
    path for part in ('retrieval', 'captioning') for path in sorted((ROOT / 'configs' / part).rglob('*.py'))
]


def check_leaves(paths):
    assert paths
    for path in paths:
        assert misspelt_keys(Config.fromfile(path)) == {}, path


def test_configs_of_this_project_are_not_suspected():
    check_leaves([*LEAVES[:: len(LEAVES) // 5], *(path for path in LEAVES if 'seq_vit-tiny' in path.name)])


@pytest.mark.long
def test_no_config_of_this_project_is_suspected():
    check_leaves(LEAVES)


@pytest.mark.skipif(not SHIPPED.is_dir(), reason='this installation of mmaction2 has no configs')
def test_configs_of_mmaction2_are_not_suspected():
    paths = sorted(path for path in SHIPPED.rglob('*.py') if '_base_' not in path.parts)
    assert len(paths) > 100
    for path in paths[:: len(paths) // 8]:
        assert misspelt_keys(Config.fromfile(path)) == {}, path
