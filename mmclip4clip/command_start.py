"""The start of the command ``mmclip4clip``, while its package is being imported.

``import mmclip4clip`` takes seconds, and it precedes every module of the package, also ``__main__``. So
``mmclip4clip/__init__.py`` does its imports within :func:`command_start`, which does nothing in a process
that is not the command.
"""

import json
import os
import platform
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = 'mmclip4clip'
INTERRUPTED = 128 + 2  # exit code of shells after SIGINT


@contextmanager
def command_start() -> Iterator[None]:
    """Parse the arguments of the command first, and end without a traceback if the import fails.

    So ``--help`` and faulty arguments take no import, and missing packages are a message, of ``doctor`` too.

    Raises:
        SystemExit: In the command only.
    """
    if not is_command():
        yield
        return
    from .command_arguments import parse_args

    # Threads sleep between two operations: beside other programs, threads that spin take ten times as long.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    with clear_imports(parse_args()):
        yield


@contextmanager
def clear_imports(args: Namespace) -> Iterator[None]:
    """Turn an import that fails, or is interrupted, into a message and an exit code.

    Args:
        args (Namespace): Output of :func:`parse_args`.

    Raises:
        SystemExit: In place of the error, unless ``args.traceback``.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except ImportError as error:
        if args.traceback:
            raise
        report_import_error(error, args.command == 'doctor', getattr(args, 'json', False))
        raise SystemExit(1) from error


def is_command() -> bool:
    """Return whether this process is ``mmclip4clip ...`` or ``python -m mmclip4clip ...``."""
    script = next(iter(getattr(sys, 'argv', [])), '')
    if script == '-m':  # Python has it here while it looks for the module, whose name precedes the arguments
        module = sys.orig_argv[-len(sys.argv)]
        return module == NAME or module.startswith('-') and module.endswith(f'm{NAME}')
    return Path(script).name in (NAME, f'{NAME}.exe')


def report_import_error(error: ImportError, is_doctor: bool, as_json: bool) -> None:
    """Print why the package cannot be imported; for the doctor, as its only finding beside Python.

    Args:
        error (ImportError): Its message says what to install.
        is_doctor (bool): Whether the command is ``doctor``.
        as_json (bool): Whether the doctor prints JSON.
    """
    if not is_doctor:
        print(f'{NAME}: error: {error}', file=sys.stderr)
        return
    python = f'{platform.python_version()} at {sys.executable}'
    if as_json:
        found = [('python', 'ok', python), ('import', 'problem', str(error))]
        findings = [dict(name=name, status=status, value=value, advice='') for name, status, value in found]
        print(json.dumps(dict(problems=True, findings=findings), indent=1))
    else:
        print(f'ok       python  {python}\nproblem  import  {error}\n1 ok, 0 warnings, 1 problems')
