"""Run the tests on sets of versions, each in an environment of its own, and print what passed.

    python .ci/matrix.py --sets oldest pinned newest

``--small`` runs what must hold everywhere: import, a training step, a test, and safe checkpoints. It needs uv
(pip install uv), and the Python of each set, on the PATH or under pyenv.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETS = dict(oldest='3.10', pinned='3.11', newest='3.13')
FILES = dict(oldest='oldest.txt', pinned='known-good.txt', newest='newest.txt')
SHOWN = ('torch', 'numpy', 'transformers', 'av', 'mmengine', 'mmcv-lite', 'mmaction2')
SMALL = (
    'tests/test_installed_versions.py',
    'tests/test_tensor_unpickler.py',
    'tests/test_compat.py',
    'tests/test_checkpoint_guard.py',
    'tests/tools/test_guarded_checkpoints.py',
    'tests/tools/test_train.py::test_training_reports_each_evaluation',
    'tests/tools/test_test.py::test_the_dump_holds_what_it_should_and_scores_as_the_log_does',
)


def find_python(version: str) -> str:
    """Find an interpreter that runs; shims of pyenv may not."""
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv')) / 'versions'
    for path in (shutil.which(f'python{version}'), *sorted(pyenv.glob(f'{version}.*/bin/python'))):
        if path and subprocess.run([path, '-c', ''], stderr=subprocess.DEVNULL).returncode == 0:
            return str(path)
    raise SystemExit(f'there is no Python {version} on the PATH or under {pyenv}')


def run_set(name: str, folder: Path, options: list[str]) -> tuple[str, bool]:
    """Install a set, run the tests, and return a row of the table and whether all passed."""
    begin = time.monotonic()
    python = folder / name / 'bin/python'
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    if os.environ.get('PIP_FIND_LINKS'):  # uv does not read pip's settings
        env.setdefault('UV_FIND_LINKS', os.environ['PIP_FIND_LINKS'])
    uv = shutil.which('uv') or str(Path(sys.executable).parent / 'uv')
    if not python.exists():
        subprocess.run([uv, 'venv', '--quiet', '-p', find_python(SETS[name]), folder / name], check=True)
    requirements = ROOT / 'requirements' / FILES[name]
    install = [uv, 'pip', 'install', '--quiet', '-p', python, '-r', requirements]
    subprocess.run(install, check=True, env=env)
    pins = dict(re.findall(r'^([\w.-]+)==(\S+)', requirements.read_text(), re.MULTILINE))
    installed = time.monotonic() - begin
    command = [python, '-m', 'pytest', '-p', 'no:cacheprovider', '--no-header', *options]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    counts = ', '.join(re.findall(r'\d+ (?:passed|failed|skipped|errors?)', done.stdout.splitlines()[-1]))
    versions = ' '.join(f'{key} {pins[key]}' for key in SHOWN)
    total = time.monotonic() - begin
    row = f'{name:8} Python {SETS[name]} {versions}: {counts}, {total:.0f} s ({installed:.0f} s to install)'
    return row, done.returncode == 0


def main() -> None:
    """Run the sets one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--sets', nargs='+', default=list(SETS), choices=list(SETS), help='default: all')
    parser.add_argument('--small', action='store_true', help='only what must hold everywhere')
    parser.add_argument('--folder', type=Path, default=ROOT / '.matrix', help='of the environments')
    parser.add_argument('--flags', default='-q -n 2', help='of pytest (default: %(default)s)')
    args = parser.parse_args()
    options = [*args.flags.split(), *(SMALL if args.small else ())]
    rows = [run_set(name, args.folder, options) for name in args.sets]
    print('\n'.join(row for row, _ in rows))
    if not all(passed for _, passed in rows):
        raise SystemExit(1)


if __name__ == '__main__':
    main()
