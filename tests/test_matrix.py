import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / '.ci/matrix.py'))
find_pythons, summarize = SCRIPT['find_pythons'], SCRIPT['summarize']
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


def pytest_of(folder, *options):
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-rfE', *options, 'test_x.py']
    env = dict(os.environ, PYTEST_DISABLE_PLUGIN_AUTOLOAD='1')
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_what_failed_is_named(tmp_path):
    (tmp_path / 'test_x.py').write_text('def test_a(): pass\ndef test_b(): raise OSError("7 passed")\n')
    assert summarize(pytest_of(tmp_path)) == (
        '1 failed, 1 passed',
        ['FAILED test_x.py::test_b - OSError: 7 passed'],
    )


def test_a_pytest_that_ran_nothing_says_why(tmp_path):
    (tmp_path / 'test_x.py').touch()
    counts, failed = summarize(pytest_of(tmp_path, '--no-such-flag'))
    assert counts.startswith('pytest ended with 4: ') and counts.endswith('arguments: --no-such-flag')
    assert not failed
    assert summarize(pytest_of(tmp_path))[0].startswith('pytest ended with 5: no tests ran')
