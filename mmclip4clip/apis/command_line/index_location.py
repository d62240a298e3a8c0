"""Where the index of the command is."""

import os
from pathlib import Path


def find_index(given: str | None) -> Path:
    """Return the path of the index: as given, else of the environment, else in the user's data folder.

    Args:
        given (str, optional): Argument of ``--index``.
    """
    chosen = given or os.environ.get('MMCLIP4CLIP_INDEX')
    if chosen:
        return Path(chosen).expanduser()
    data = os.environ.get('XDG_DATA_HOME', '')
    if not os.path.isabs(data):  # as its specification says
        data = str(Path.home() / '.local/share')
    return Path(data, 'mmclip4clip', 'index')


def has_index(path: Path) -> bool:
    """Return whether there is something at the path of an index; an empty folder counts as nothing."""
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def check_index(path: Path) -> None:
    """Check that there is an index.

    Raises:
        FileNotFoundError: If there is none; its message says how to make one.
    """
    if not has_index(path):
        raise FileNotFoundError(
            f'there is no index at {path}: make one with mmclip4clip index FOLDER --model CHECKPOINT, or '
            'name another one with --index'
        )
