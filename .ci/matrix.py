"""Run the tests on sets of versions, each in an environment of its own, and print what passed.

    python .ci/matrix.py --sets oldest pinned newest

``--small`` runs what must hold everywhere: import, a training step, a test, and safe checkpoints. It runs all
sets at the same time, with one process each. It needs uv (pip install uv), and the Python of each set, on the
PATH or under pyenv.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYENV = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv')) / 'versions'
SETS = dict(oldest='3.10', pinned='3.11', newest='3.13')
FILES = dict(oldest='oldest.txt', pinned='known-good.txt', newest='newest.txt')
SHOWN = ('torch', 'numpy', 'transformers', 'av', 'mmengine', 'mmcv-lite', 'mmaction2')
SMALL = (
    'tests/test_installed_versions.py',
    'tests/test_tensor_unpickler.py',
    'tests/test_compat.py',
    'tests/datasets/video_readers/test_index_cache.py',
    'tests/datasets/video_readers/test_sample_table.py',
    'tests/test_checkpoint_guard.py',
    'tests/tools/test_guarded_checkpoints.py',
    'tests/tools/test_train.py::test_training_reports_each_evaluation',
    'tests/tools/test_test.py::test_the_dump_holds_what_it_should_and_scores_as_the_log_does',
    # It only tests pip, which is the same in each set.
    '--deselect=tests/test_installed_versions.py::'
    'test_the_repair_leaves_one_mmcv_where_two_distributions_shared_its_files',
)
DISK = 9  # GiB of a set, with the downloads
# Where pip finds packages, for uv, which does not read pip's settings.
PIP_SETTINGS = dict(
    UV_DEFAULT_INDEX='PIP_INDEX_URL', UV_INDEX='PIP_EXTRA_INDEX_URL', UV_FIND_LINKS='PIP_FIND_LINKS'
)


def find_python(version: str) -> str | None:
    """Find an interpreter that runs; shims of pyenv may not."""
    for path in (shutil.which(f'python{version}'), *sorted(PYENV.glob(f'{version}.*/bin/python'))):
        if path and subprocess.run([path, '-c', ''], stderr=subprocess.DEVNULL).returncode == 0:
            return str(path)
    return None


def find_pythons(sets: list[str], skip: bool) -> dict[str, str]:
    """Find the interpreter of each set, and name those that are missing.

    Raises:
        SystemExit: One is missing, and ``skip`` is false.
    """
    found = {name: find_python(SETS[name]) for name in sets}
    missing = [
        f'set {name}: there is no Python {SETS[name]} on the PATH or under {PYENV}'
        for name, python in found.items()
        if python is None
    ]
    if missing and not skip:
        raise SystemExit('\n'.join(missing))
    for line in missing:
        print(f'skipped {line}', flush=True)
    return {name: python for name, python in found.items() if python}


def summarize(done: subprocess.CompletedProcess) -> tuple[str, list[str]]:
    """Return the counts of pytest, or its error if it ran no tests, and the lines that name what failed."""
    lines = done.stdout.splitlines()
    for line in reversed(lines):
        counts = re.findall(r'\d+ (?:passed|failed|skipped|errors?)', line)
        if counts:
            return ', '.join(counts), [line for line in lines if line.startswith(('FAILED ', 'ERROR '))]
    error = (done.stderr.strip() or done.stdout.strip() or 'it printed nothing').splitlines()
    shown = [line for line in error if 'error:' in line] or error[-1:]
    return f'pytest ended with {done.returncode}: {shown[0]}', []


def run_set(name: str, interpreter: str, folder: Path, options: list[str]) -> tuple[str, bool]:
    """Install a set and run the tests; return a row of the table with what failed, and whether all passed."""
    begin = time.monotonic()
    python = folder / name / 'bin/python'
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    env.setdefault('UV_SYSTEM_CERTS', '1')  # as pip does
    for key, source in PIP_SETTINGS.items():
        if os.environ.get(source):
            env.setdefault(key, os.environ[source])
    uv = shutil.which('uv') or str(Path(sys.executable).parent / 'uv')
    if not python.exists():
        subprocess.run([uv, 'venv', '--quiet', '-p', interpreter, folder / name], check=True, env=env)
    requirements = ROOT / 'requirements' / FILES[name]
    install = [uv, 'pip', 'install', '--quiet', '-p', python, '-r', requirements]
    subprocess.run(install, check=True, env=env)
    pins = dict(re.findall(r'^([\w.-]+)==(\S+)', requirements.read_text(), re.MULTILINE))
    installed = time.monotonic() - begin
    command = [python, '-m', 'pytest', '-p', 'no:cacheprovider', '--no-header', '-rfE', *options]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    print(done.stdout, done.stderr, sep='\n', flush=True)
    counts, failed = summarize(done)
    versions = ' '.join(f'{key} {pins[key]}' for key in SHOWN)
    total = time.monotonic() - begin
    row = f'{name:8} Python {SETS[name]} {versions}: {counts}, {total:.0f} s ({installed:.0f} s to install)'
    return '\n'.join([row, *(f'    {line}' for line in failed)]), done.returncode == 0


def main() -> None:
    """Run the sets, one after the other or, in the small form, at the same time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--sets', nargs='+', default=list(SETS), choices=list(SETS), help='default: all')
    parser.add_argument('--small', action='store_true', help='only what must hold everywhere')
    parser.add_argument('--python', help='for all sets, in place of their own, such as 3.12')
    parser.add_argument('--folder', type=Path, default=ROOT / '.matrix', help='of the environments')
    parser.add_argument(
        '--skip-missing', action='store_true', help='skip sets whose Python or disk is missing'
    )
    parser.add_argument('--flags', help='of pytest (default: -q -n 2; in the small form -q)')
    args = parser.parse_args()
    flags = args.flags or ('-q' if args.small else '-q -n 2')
    options = [*flags.split(), *(SMALL if args.small else ())]
    if args.python:
        SETS.update(dict.fromkeys(SETS, args.python))
        args.folder = args.folder / args.python
    pythons = find_pythons(args.sets, args.skip_missing)
    free = shutil.disk_usage(ROOT).free / 2**30
    if args.skip_missing and free < DISK * len(pythons):
        print(f'skipped all sets: {free:.0f} GiB of disk are free, each needs {DISK}', flush=True)
        return
    with ThreadPoolExecutor(max(1, len(pythons)) if args.small else 1) as pool:
        runs = [pool.submit(run_set, name, path, args.folder, options) for name, path in pythons.items()]
        rows = [run.result() for run in runs]
    print('\n'.join(row for row, _ in rows))
    if not all(passed for _, passed in rows):
        raise SystemExit(1)


if __name__ == '__main__':
    main()
