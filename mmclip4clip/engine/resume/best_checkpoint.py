import shutil
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from ...atomic_file import atomic_file
from ...checkpoint_file import CheckpointFileError
from .checkpoint_search import read_meta
from .run_check import KEY


def bring_best_checkpoint(path: Path, resumed: str, run_id: str) -> bool:
    """Copy the best checkpoint of a run that goes on in another folder, and leave the first one where it is.

    Args:
        path (Path): Where it should be.
        resumed (str): The checkpoint that is resumed, in the folder where the best one was.
        run_id (str): Which run it is of. A file that another run left at ``path`` is not replaced.

    Returns:
        bool: Whether this run's is there now.
    """
    source = Path(resumed).with_name(path.name)
    if path.exists():
        return _run_id(path) == run_id
    if not source.is_file():
        return False
    if is_main_process():
        with source.open('rb') as read, atomic_file(path) as write:
            shutil.copyfileobj(read, write)
        print_log(f'{source}, the best checkpoint so far, is copied to {path}', logger='current')
    return True


def _run_id(path: Path) -> str | None:
    """Return which run a checkpoint is of, None if it does not say."""
    try:
        return ((read_meta(path).get(KEY) or {}).get('run') or {}).get('id')
    except (CheckpointFileError, OSError):
        return None
