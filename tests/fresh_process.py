"""Code in a process that has imported neither OpenMMLab's packages nor this one, as a program at its start.

Each run is a fork of a server, which has imported the large packages below those, because that takes seconds.
"""

import gc
import os
import sys
import tempfile
import warnings
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import SimpleNamespace

LARGE = [
    'torch',
    'torch.distributed.optim',
    'cv2',
    'matplotlib.pyplot',
    'rich.progress',
    'rich.table',
    'scipy.interpolate',
    'scipy.stats',
    'transformers.optimization',
]
LIMIT = 600  # seconds


def fresh_context() -> ForkServerContext:
    """Return the start method of these processes, which pickles what it is given, as ``spawn`` does."""
    context = get_context('forkserver')
    context.set_forkserver_preload(LARGE)
    return context


def run_fresh(code: str, *args: object, folder: Path, package: Path | None = None) -> SimpleNamespace:
    """Run code as ``python -W ignore -c`` does; return its ``returncode`` and all that it ``printed``.

    Args:
        code (str): The code.
        args (object): Its arguments.
        folder (Path): Where it runs.
        package (Path, optional): Folder that is searched first for modules, in place of where it runs.
    """
    with tempfile.TemporaryDirectory() as temporary:
        log = Path(temporary, 'printed.log')
        log.touch()
        values = (code, [*map(str, args)], str(folder), str(package or folder), str(log))
        process = fresh_context().Process(target=_run, args=values)
        process.start()
        process.join(LIMIT)
        if process.is_alive():
            process.kill()
            process.join()
        return SimpleNamespace(returncode=process.exitcode, printed=log.read_text())


def _run(code: str, args: list[str], folder: str, package: str, log: str) -> None:
    """Run code in the fork."""
    printed = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    gc.freeze()  # what the server imported is no rubbish of this process
    gc.enable()  # which the import of tests stopped
    for name in [name for name in sys.modules if name.partition('.')[0] == 'tests']:
        del sys.modules[name]  # the code may be of a copy of the project
    os.chdir(folder)
    os.environ['PYTHONPATH'] = package  # of processes that it starts
    sys.path.insert(0, package)
    sys.argv = ['-c', *args]
    warnings.simplefilter('ignore')
    exec(compile(code, '<string>', 'exec'), dict(__name__='__main__'))
