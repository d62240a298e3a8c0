import shutil
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from ...atomic_file import atomic_file
from ...checkpoint_file import CheckpointFileError
from .checkpoint_search import read_meta
from .run_check import KEY


def bring_best_checkpoint(path: Path, resumed: str, run_id: str) -> bool:
    """Copy the best checkpoint of a run that resumes in another folder; the original stays.

    Args:
        path (Path): Destination in the new folder.
        resumed (str): The resumed checkpoint, in the folder of the best checkpoint.
        run_id (str): Id of the run. A file of another run at ``path`` is not replaced.

    Returns:
        bool: Whether the best checkpoint of this run is at ``path`` now.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.engine.resume import bring_best_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:  # the first run saved no best checkpoint
        ...     bring_best_checkpoint(Path(folder, 'new', 'best.pth'), f'{folder}/epoch_1.pth', 'run1')
        False
    """
    source = Path(resumed).with_name(path.name)
    if path.exists():
        return _run_id(path) == run_id
    if not source.is_file():
        return False
    if is_main_process():
        with source.open('rb') as read, atomic_file(path) as write:
            shutil.copyfileobj(read, write)
        print_log(f'copied the best checkpoint so far, {source}, to {path}', logger='current')
    return True


def _run_id(path: Path) -> str | None:
    """Return the id of the run that saved a checkpoint, None if it is unknown."""
    try:
        return ((read_meta(path).get(KEY) or {}).get('run') or {}).get('id')
    except (CheckpointFileError, OSError):
        return None
