"""File locks between processes, which the kernel releases when a process ends for any reason.

These are POSIX record locks. Unlike ``flock`` locks, data workers do not inherit them and cannot hold one
after their training was killed. Network file systems either support them or report that they do not.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from .logs import print_log

TAKEN = (errno.EACCES, errno.EAGAIN)
TRAINING = 'training.lock'  # file in a work dir
_HELD: dict[Path, TextIO] = {}  # locks of this process


class LockTakenError(RuntimeError):
    """Raised if a lock is taken; the message is what its owner wrote."""


class WorkDirInUseError(RuntimeError):
    """Raised if the work dir is in use by another training."""


def take_lock(path: Path) -> None:
    """Take a lock for this process, until it ends or :func:`release_lock`.

    Where locks are not supported, nothing is locked, with a warning.

    Args:
        path (Path): Resolved path of the lock file, which is created. The owner is written into it.

    Raises:
        LockTakenError: If another process has it, or this one.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder).resolve() / 'update.lock'
        ...     take_lock(path)
        ...     path in _HELD
        ...     release_lock(path)
        True
    """
    if path in _HELD:  # the kernel lets the same process lock a file again
        raise LockTakenError('this process')
    file = None
    try:
        file = path.open('a+')
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if file is None or error.errno not in TAKEN:
            print_log(
                f'{path} cannot be locked: {error}. Another process could use this folder too',
                logger='current',
                level=logging.WARNING,
            )
            return
        file.seek(0)
        raise LockTakenError(file.read(1000).strip() or 'it has just started') from None
    file.truncate(0)
    file.write(
        json.dumps(
            dict(pid=os.getpid(), host=socket.gethostname(), started=time.strftime('%Y-%m-%d %H:%M:%S'))
        )
        + '\n'
    )
    file.flush()
    _HELD[path] = file


def has_lock(path: Path) -> bool:
    """Return whether this process has a lock; not where locks are not supported."""
    return path in _HELD


def release_lock(path: Path) -> None:
    """Release a lock, if this process has it."""
    file = _HELD.pop(path, None)
    if file is not None:
        file.truncate(0)
        file.close()


def lock_work_dir(folder: str | Path) -> None:
    """Lock a work dir for the training in this process, until the process ends or :func:`release_work_dir`.

    Args:
        folder (str | Path): An existing work dir.

    Raises:
        WorkDirInUseError: If a training in another process has locked it.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lock_work_dir(folder)
        ...     lock_work_dir(folder)  # this process has the lock already
        ...     release_work_dir(folder)
    """
    path = Path(folder).resolve() / TRAINING
    if path in _HELD:
        return
    try:
        take_lock(path)
    except LockTakenError as error:
        raise WorkDirInUseError(
            f'another training runs in the work dir {folder}: {error}. Wait until it ends, '
            'or use another one with --work-dir'
        ) from None


def release_work_dir(folder: str | Path) -> None:
    """Unlock a work dir, if this process has locked it."""
    release_lock(Path(folder).resolve() / TRAINING)


@contextlib.contextmanager
def locked(path: Path, seconds: float = 30.0) -> Iterator[None]:
    """Hold a lock for a short time, such as for reading, changing and writing a file.

    Args:
        path (Path): Lock file, which is created. It must not be a file that is replaced.
        seconds (float): Maximum time to wait. After that, or if locks are not supported, the code runs
            without a lock and with a warning, because losing the write would be worse.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with locked(Path(folder, '.metrics.lock')):
        ...         pass  # read, change and write metrics.json
    """
    with path.open('a') as file:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in TAKEN or time.monotonic() > end:
                    print_log(f'{path} is not locked: {error}', logger='current', level=logging.WARNING)
                    break
                time.sleep(0.02)
        yield  # closing the file releases the lock
