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


UPWARDS = {  # lines for modules, and what they make these modules import
    'models/features.py': ('from mmclip4clip.datasets import annotations', 'datasets.annotations'),
    'datasets/annotations.py': ('from ..models import features', 'models.features'),
    'safe_json.py': ('from . import compat', 'compat'),
    'hub.py': ('def late():\n    from .tokenizers import loading', 'tokenizers.loading'),
    'evaluation/metric_table.py': ('from ..engine import metrics_file', 'engine.metrics_file'),
}


def lint_with(folder: Path, lines: dict[str, str]) -> str:
    """Add lines to the modules of a copy of the package, and return why it does not keep its floors."""
    shutil.copytree(
        ROOT / 'mmclip4clip', folder / 'mmclip4clip', ignore=shutil.ignore_patterns('*.pyc', '.mim')
    )
    shutil.copy(ROOT / 'pyproject.toml', folder)
    for file, line in lines.items():
        with open(folder / 'mmclip4clip' / file, 'a') as module:
            module.write(f'\n{line}\n')
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            'from importlinter.cli import lint_imports_command; lint_imports_command()',
            '--no-cache',
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    plain = re.sub(r'\x1b\[\d+m', '', done.stdout)  # without colors
    assert done.returncode == 1, plain
    return plain


def test_each_import_upwards_is_named(tmp_path):
    plain = lint_with(tmp_path, {file: line for file, (line, _) in UPWARDS.items()})
    for file, (_, imported) in UPWARDS.items():
        importer = file.removesuffix('.py').replace('/', '.')
        rooms = importer.split('.')[0], imported.split('.')[0]
        assert 'mmclip4clip.{} is not allowed to import mmclip4clip.{}'.format(*rooms) in plain, plain
        assert f'mmclip4clip.{importer} -> mmclip4clip.{imported} (' in plain, plain


@pytest.mark.parametrize(
    'file, line, broken',
    [
        ('tokenizers/caption_text.py', 'from . import loading', 'No import circles BROKEN'),
        ('new_room.py', 'X = 1', 'new_room'),
    ],
)
def test_a_circle_and_a_module_without_a_floor_are_named(tmp_path, file, line, broken):
    assert broken in lint_with(tmp_path, {file: line})


def test_tools_import_this_package_before_mmaction2():
    """mmaction2 refuses mmcv 2.2 when it is imported, unless this package was imported before."""
    late = []
    for path in sorted((ROOT / 'tools').rglob('*.py')):
        found = re.findall(r'^ *(?:from|import) (mmaction|mmclip4clip)\b', path.read_text(), re.MULTILINE)
        if 'mmaction' in found and found[0] != 'mmclip4clip':
            late.append(path.name)
    assert not late
