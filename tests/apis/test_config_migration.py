import inspect
import logging
from pathlib import Path

import pytest
from mmengine.config import Config

from mmclip4clip.apis import read_config
from mmclip4clip.apis.config_migration import SCHEDULE, rename_options
from mmclip4clip.engine import WarmUpCosineLR

from .test_launch import load  # noqa: F401  the fixture

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs/retrieval/clip4clip'


@pytest.fixture
def warnings(monkeypatch) -> list:
    """The warnings that are logged."""
    texts = []
    monkeypatch.setattr(
        'mmclip4clip.apis.config_migration.print_log',
        lambda text, logger, level: texts.append(text) if level == logging.WARNING else None,
    )
    return texts


def test_every_config_that_moved_is_found_by_its_old_path_with_one_warning(warnings):
    paths = sorted(path for path in (FOLDER / 'ablations').glob('*.py') if '-merge' not in path.name)  # new
    assert len(paths) == 20
    for path in paths[::6]:
        old = FOLDER / path.name
        assert read_config(str(old)).to_dict() == Config.fromfile(path).to_dict()
        text = warnings.pop()
        assert f'the config {old} has moved: {path} is used' in text and not warnings


def test_a_config_that_is_where_it_was_gives_no_warning_and_an_unknown_one_is_named(warnings, tmp_path):
    path = tmp_path / 'c.py'
    path.write_text('a = 1')
    assert read_config(str(path)).a == 1 and not warnings
    with pytest.raises(FileNotFoundError, match='the config .*none.py does not exist'):
        read_config(str(tmp_path / 'none.py'))


def test_a_base_that_moved_is_an_error_that_names_its_new_path(tmp_path):
    name = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u6-5e_msrvtt-9k-rgb.py'
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = '{FOLDER / name}'")
    message = f'mine.py inherits .*has moved: write .*/ablations/{name} in its _base_'
    with pytest.raises(FileNotFoundError, match=message):
        read_config(str(path))
    path.write_text("_base_ = 'none.py'")
    with pytest.raises(FileNotFoundError, match='none.py'):
        read_config(str(path))


RECIPE = "param_scheduler = dict(type='WarmUpCosineLR', warmup=.5, start_factor=.05, end=5)"
PAIR = "param_scheduler = [dict(type='WarmUpLR', end=.5), dict(type='CosineAnnealingLR', begin=.5, end=5)]"


def test_keys_of_the_two_schedulers_set_the_one(load, warnings):  # noqa: F811
    cfg = load(
        RECIPE,
        '--cfg-options',
        'param_scheduler.0.end=1',
        'param_scheduler.0.start_factor=.1',
        'param_scheduler.1.begin=2',
        'param_scheduler.1.end=9',
        'param_scheduler.1.T_max=7',
        'a=3',
    )
    assert (
        cfg.param_scheduler == dict(type='WarmUpCosineLR', warmup=1, start_factor=0.1, cosine_begin=2, end=9)
        and cfg.a == 3
    )
    assert len(warnings) == 5
    assert 'param_scheduler.0.end is now called param_scheduler.warmup,' in '\n'.join(warnings)


@pytest.mark.parametrize(
    'key, message',
    [
        ('param_scheduler.1.T_max=3', 'T_max=3: .* from cosine_begin=0.5 to end=5;'),
        (
            'param_scheduler.1.eta_min=.1',
            'eta_min is not a key of this config: .* single WarmUpCosineLR with ',
        ),
        ('param_scheduler.0.type=LinearLR', 'type is not a key of this config'),
    ],
)
def test_keys_without_a_counterpart_are_refused(load, key, message):  # noqa: F811
    with pytest.raises(ValueError, match=message):
        load(RECIPE, '--cfg-options', key)


def test_a_list_of_two_schedulers_in_a_config_of_before_is_set_as_before(load, warnings):  # noqa: F811
    cfg = load(PAIR, '--cfg-options', 'param_scheduler.1.end=9', 'param_scheduler.1.T_max=8.5')
    assert cfg.param_scheduler[1].end == 9 and cfg.param_scheduler[1].T_max == 8.5 and not warnings
    assert rename_options(Config(dict(a=1)), {'param_scheduler.1.end': 2}) == {'param_scheduler.1.end': 2}


def test_a_config_of_before_that_inherits_a_recipe_keeps_its_own_two_schedulers(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = '{ROOT}/configs/_base_/schedules/modern.py'\n{PAIR}")
    assert [part.type for part in read_config(str(path)).param_scheduler] == ['WarmUpLR', 'CosineAnnealingLR']


def test_the_new_keys_are_those_of_the_class():
    known = inspect.signature(WarmUpCosineLR).parameters
    assert {name.removeprefix('param_scheduler.') for name in SCHEDULE.values()} <= set(known)


RUNTIME = f"_base_ = '{ROOT}/configs/_base_/default_runtime.py'\n"


@pytest.mark.parametrize(
    'hooks, expected',
    [
        ('', {}),
        ("report=dict(type='RetrievalReportHook', gallery=0)", dict(gallery=0)),
        ('caption_report=dict(page=9)', dict(page=9)),
        (
            "report=dict(top=5), caption_report=dict(type='CaptionReportHook', picture=2)",
            dict(top=5, picture=2),
        ),
        ('caption_report=None', dict(page=None)),
    ],
)
def test_the_two_report_hooks_of_before_become_one(load, warnings, hooks, expected):  # noqa: F811
    found = load(f'{RUNTIME}default_hooks = dict({hooks})').default_hooks
    assert found.report == dict(expected, type='EvaluationReportHook') and 'caption_report' not in found
    assert len(warnings) == bool(hooks)
    by_option = load(RUNTIME, '--cfg-options', 'default_hooks.caption_report.page=3').default_hooks
    assert by_option.report.page == 3
