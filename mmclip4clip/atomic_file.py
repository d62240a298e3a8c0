"""Files that are either as they were or whole, whenever a process is killed or a disk is full."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

UNFINISHED = '.unfinished'  # ending of a file that is being written


@contextlib.contextmanager
def atomic_file(path: str | Path, mode: str = 'wb') -> Iterator[IO]:
    """Open a file for writing that takes its name only when it is on the disk as a whole.

    Args:
        path (str | Path): The file, which may exist.
        mode (str): ``'wb'``, or ``'w'`` for UTF-8 text.

    Yields:
        IO: A file beside it, which is removed if writing fails.

    Raises:
        OSError: Naming ``path``; what was there before is untouched.
    """
    path = Path(path)
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open(mode, encoding=None if 'b' in mode else 'utf-8') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        remove_quietly(unfinished)
        reason = f'{error.strerror or error}; a file of this name that was there before is untouched'
        raise OSError(error.errno, reason, str(path)) from error
    except BaseException:
        remove_quietly(unfinished)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk; file systems that cannot are left to do so in their time."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def remove_unfinished(folder: str | Path, keep: Sequence[str] = ()) -> list[Path]:
    """Remove what :func:`atomic_file` left in a folder when it was killed, and return the paths.

    Args:
        folder (str | Path): The folder.
        keep (Sequence[str]): Names of files that others may be writing now.
    """
    found = sorted(
        path for path in Path(folder).glob(f'*{UNFINISHED}') if path.name.removesuffix(UNFINISHED) not in keep
    )
    for path in found:
        remove_quietly(path)
    return found


def remove_quietly(path: Path) -> None:
    """Remove a file that nobody needs; that it cannot be removed must not hide another error."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
