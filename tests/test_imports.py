"""The floors of pyproject.toml: that the package keeps them, and that they would be missed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[1]


def test_the_package_keeps_its_floors_and_has_no_import_circles(monkeypatch):
    monkeypatch.setattr(sys, 'path', [str(ROOT), *sys.path])
    assert lint_imports(str(ROOT / 'pyproject.toml'), no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize(
    'file, line, broken',
    [
        ('models/features.py', 'from mmclip4clip.datasets import annotations', 'models is not allowed'),
        ('datasets/annotations.py', 'from ..models import features', 'datasets is not allowed'),
        ('safe_json.py', 'from . import compat', 'safe_json is not allowed'),
        ('hub.py', 'def late():\n    from .tokenizers import loading', 'hub is not allowed'),
        ('evaluation/metric_table.py', 'from ..engine import metrics_file', 'evaluation is not allowed'),
        ('tokenizers/caption_text.py', 'from . import loading', 'No import circles BROKEN'),
        ('new_room.py', 'X = 1', 'new_room'),
    ],
)
def test_an_import_upwards_a_circle_and_a_module_without_a_floor_are_named(tmp_path, file, line, broken):
    shutil.copytree(ROOT / 'mmclip4clip', tmp_path / 'mmclip4clip')
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    with open(tmp_path / 'mmclip4clip' / file, 'a') as module:
        module.write(f'\n{line}\n')
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            'from importlinter.cli import lint_imports_command; lint_imports_command()',
            '--no-cache',
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    plain = re.sub(r'\x1b\[\d+m', '', done.stdout)  # without colors
    assert done.returncode == 1 and broken in plain, plain
