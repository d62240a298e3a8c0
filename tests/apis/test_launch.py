import argparse
from pathlib import Path

import pytest

from mmclip4clip.apis import add_common_arguments, load_config


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
