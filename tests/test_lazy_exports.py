"""Packages whose names are imported at their first use."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize('package', ['apis', 'search', 'datasets', 'tokenizers', 'export'])
def test_dir_shows_all_names_without_importing_them(package):
    code = (
        f'import sys, mmclip4clip.{package} as package; before = set(sys.modules); '
        'missing = set(package.__all__) - set(dir(package)); print(missing or set(sys.modules) - before)'
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == 'set()\n', done.stdout + done.stderr
