"""Packages whose names are imported at their first use."""

from pathlib import Path

import pytest

from .fresh_process import run_fresh

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize('package', ['apis', 'search', 'datasets', 'tokenizers', 'export'])
def test_dir_shows_all_names_without_importing_them(package):
    code = (
        f'import sys, mmclip4clip.{package} as package; before = set(sys.modules); '
        'missing = set(package.__all__) - set(dir(package)); print(missing or set(sys.modules) - before)'
    )
    done = run_fresh(code, folder=ROOT)
    assert done.returncode == 0 and done.printed.splitlines()[-1] == 'set()', done.printed
