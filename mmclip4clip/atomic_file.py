"""Atomic writing of files: a killed process or a full disk leaves the old file or the complete new one."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

UNFINISHED = '.unfinished'  # suffix of a file that is being written


@contextlib.contextmanager
def atomic_file(path: str | Path, mode: str = 'wb') -> Iterator[IO]:
    """Open a file for writing that gets its name only when it is complete on the disk.

    Args:
        path (str | Path): The file, which may exist already.
        mode (str): ``'wb'``, or ``'w'`` for UTF-8 text.

    Yields:
        IO: A temporary file in the same folder, which is removed if writing fails.

    Raises:
        OSError: If writing fails. An existing file at ``path`` is not changed.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, 'notes.txt')
        ...     with atomic_file(path, 'w') as file:
        ...         written = file.write('complete')
        ...         exists_while_writing = path.exists()
        ...     exists_while_writing, path.read_text()
        (False, 'complete')
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
    """Flush the entries of a folder to the disk, if the file system supports it."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def remove_unfinished(folder: str | Path, keep: Sequence[str] = ()) -> list[Path]:
    """Remove the temporary files of killed processes from a folder, and return their paths.

    Args:
        folder (str | Path): The folder.
        keep (Sequence[str]): Names of files that other processes may be writing.
    """
    found = sorted(
        path for path in Path(folder).glob(f'*{UNFINISHED}') if path.name.removesuffix(UNFINISHED) not in keep
    )
    for path in found:
        remove_quietly(path)
    return found


def remove_quietly(path: Path) -> None:
    """Remove a file, ignoring errors so that they do not hide the original one."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
