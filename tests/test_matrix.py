import runpy
import shutil
import sys
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / '.ci/matrix.py'))
find_pythons = SCRIPT['find_pythons']
VERSION = 'of-the-tests'
REASON = 'set newest: there is no Python 3.999 on the PATH or under '


@pytest.fixture
def one_python(monkeypatch):
    """Let the set oldest need this Python, and the set newest one that nobody has."""
    monkeypatch.setattr(shutil, 'which', {f'python{VERSION}': sys.executable}.get)
    monkeypatch.setitem(SCRIPT['SETS'], 'oldest', VERSION)
    monkeypatch.setitem(SCRIPT['SETS'], 'newest', '3.999')


def test_a_missing_python_is_an_error_that_names_set_and_version(one_python):
    with pytest.raises(SystemExit, match=REASON):
        find_pythons(['oldest', 'newest'], skip=False)


def test_a_set_without_its_python_is_skipped_by_name_if_asked(one_python, capsys):
    assert find_pythons(['oldest', 'newest'], skip=True) == {'oldest': sys.executable}
    assert capsys.readouterr().out.startswith(f'skipped {REASON}')
