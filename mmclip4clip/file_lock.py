"""Locks between processes, which the kernel releases when a process ends, however it ends.

They are POSIX record locks: unlike those of ``flock``, data workers do not inherit them and cannot keep one
alive after a killed training. Network file systems know them, or say that they do not.
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

from mmengine.logging import print_log

TAKEN = (errno.EACCES, errno.EAGAIN)
TRAINING = 'training.lock'  # file in a work dir
_HELD: dict[Path, TextIO] = {}  # by this process


class WorkDirInUseError(RuntimeError):
    """A work dir in which another training runs."""


def lock_work_dir(folder: str | Path) -> None:
    """Take a work dir for the training in this process, until it ends or :func:`release_work_dir`.

    Args:
        folder (str | Path): Work dir, which exists.

    Raises:
        WorkDirInUseError: If a training in another process has it, naming that.
    """
    path = Path(folder).resolve() / TRAINING
    if path in _HELD:
        return
    try:
        file = path.open('a+')
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in TAKEN:
            print_log(
                f'{path} cannot be locked: {error}. Nothing keeps a second training out of this folder',
                logger='current',
                level=logging.WARNING,
            )
            return
        file.seek(0)
        owner = file.read(1000).strip() or 'it has just begun'
        raise WorkDirInUseError(
            f'another training runs in the work dir {folder}: {owner}. Wait for its end, '
            'or choose another one with --work-dir'
        ) from None
    file.truncate(0)
    file.write(
        json.dumps(
            dict(pid=os.getpid(), host=socket.gethostname(), started=time.strftime('%Y-%m-%d %H:%M:%S'))
        )
        + '\n'
    )
    file.flush()
    _HELD[path] = file


def release_work_dir(folder: str | Path) -> None:
    """Give a work dir back, if this process has it."""
    file = _HELD.pop(Path(folder).resolve() / TRAINING, None)
    if file is not None:
        file.truncate(0)
        file.close()


@contextlib.contextmanager
def locked(path: Path, seconds: float = 30.0) -> Iterator[None]:
    """Hold a lock for a moment, such as while a file is read, changed and written.

    Args:
        path (Path): File to lock, which is made; not the one that is changed, if that is replaced.
        seconds (float): How long to wait. After that, and where there are no locks, it goes on without one,
            with a warning: what is to be written is worth more than the order.
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
