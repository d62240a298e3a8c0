import argparse
from pathlib import Path

import pytest
from mmengine.config import Config

from mmclip4clip.apis import add_common_arguments, load_config, set_checkpoint
from mmclip4clip.apis.run_guards import GUARDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('LOCAL_RANK', raising=False)

    def load(config, *flags):
        Path('c.py').write_text(config)
        parser = argparse.ArgumentParser()
        parser.add_argument('config')
        add_common_arguments(parser)
        return load_config(parser.parse_args(['c.py', *flags]))

    return load


def test_the_command_line_wins_over_the_config(load):
    config = "randomness = dict(seed=5, diff_rank_seed=True)\nwork_dir = 'theirs'\na = dict(b=1)"
    cfg = load(config, '--seed', '0', '--deterministic', '--work-dir', 'mine', '--cfg-options', 'a.b=2')
    assert cfg.randomness == dict(seed=0, diff_rank_seed=True, deterministic=True)
    assert (cfg.work_dir, cfg.a.b) == ('mine', 2)


def test_without_flags_the_config_stays(load):
    cfg = load("randomness = dict(seed=5)\nwork_dir = 'theirs'")
    assert cfg.randomness == dict(seed=5) and cfg.work_dir == 'theirs'


def test_default_work_dir_is_named_after_the_config(load):
    cfg = load('a = 1')
    assert cfg.work_dir == 'work_dirs/c' and cfg.randomness == dict(seed=None)


def test_an_unwritable_work_dir_is_named(load, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='the work dir file/inside cannot be written.*--work-dir'):
        load('a = 1', '--work-dir', 'file/inside')


def test_a_missing_config_is_named(load):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_common_arguments(parser)
    with pytest.raises(FileNotFoundError, match='the config none.py does not exist'):
        load_config(parser.parse_args(['none.py']))


HOOK = "default_hooks = dict(checkpoint=dict({}interval=2, save_best='a', rule='less', out_dir='o'))"


@pytest.mark.parametrize('kind', ["type='CheckpointHook', ", "type='mmengine.CheckpointHook', "])
def test_mmengines_checkpoint_hook_is_replaced_with_its_arguments(load, kind):
    cfg = load(HOOK.format(kind) + "\ncustom_hooks = [dict(type='CheckpointHook', by_epoch=False)]")
    assert cfg.default_hooks.checkpoint == dict(
        type='SafeCheckpointHook', interval=2, save_best='a', rule='less', out_dir='o'
    )
    assert cfg.custom_hooks == [dict(type='SafeCheckpointHook', by_epoch=False)]


def test_a_config_without_a_checkpoint_hook_gets_mmengines_default_and_others_stay(load):
    assert load('a = 1').default_hooks.checkpoint == dict(type='SafeCheckpointHook', interval=1)
    assert load('default_hooks = dict(checkpoint=None)').default_hooks.checkpoint is None
    mine = load("default_hooks = dict(checkpoint=dict(type='MyHook', interval=1))")
    assert mine.default_hooks.checkpoint.type == 'MyHook'


def test_a_config_that_does_not_inherit_the_guards_gets_them(load):
    ours = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py').default_hooks
    assert {name: dict(ours[name]) for name in GUARDS} == {n: dict(type=kind) for n, kind in GUARDS.items()}
    cfg = load(
        "default_hooks = dict(timer=dict(type='IterTimerHook'), stop_signal=None,\n"
        "    bad_videos=dict(type='BadVideoHook', max_share=.2))\n"
        "custom_hooks = [dict(type='NonFiniteGuardHook', max_skipped=9)]"
    )
    hooks = cfg.default_hooks
    assert set(GUARDS) - set(hooks) == {'stop_signal', 'non_finite_guard'}
    assert hooks.bad_videos.max_share == 0.2 and hooks.timer.type == 'IterTimerHook'
    assert hooks.random_states == dict(type='RandomStateHook')
    custom = load(
        "custom_hooks = [dict(type='mmaction.NonFiniteGuardHook', max_skipped=9),\n"
        "    dict(type='mmclip4clip.engine.hooks.StopSignalHook')]"
    ).default_hooks
    assert set(GUARDS) - set(custom) == {'stop_signal', 'non_finite_guard'}
    off = load('default_hooks = dict(tokenizer_check=None)').default_hooks
    assert not {'tokenizer_check', 'preprocessing_check'} & set(off)
    old = load("default_hooks = dict(tokenizer_check=dict(type='TokenizerCheckHook'))").default_hooks
    assert 'preprocessing_check' not in old


@pytest.mark.parametrize('last', [None, '', '\n', 'epoch_7.pth', '/elsewhere/epoch_7.pth'])
def test_what_is_loaded_is_never_taken_for_a_run_to_resume(load, last):
    cfg = load("load_from = 'pretrained.pth'", '--work-dir', 'w')
    if last is not None:
        Path('w/last_checkpoint').write_text(last)
    set_checkpoint(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (False, 'pretrained.pth')


def test_a_named_checkpoint_must_be_there_and_whole(load):
    cfg = load('a = 1')
    with pytest.raises(FileNotFoundError, match='none.pth'):
        set_checkpoint(cfg, 'none.pth')
    Path('empty.pth').touch()
    with pytest.raises(RuntimeError, match='empty.pth is damaged'):
        set_checkpoint(cfg, 'empty.pth')
    set_checkpoint(cfg, None)
    assert 'resume' not in cfg
