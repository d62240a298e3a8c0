"""Temporary folders that end with their server, and those of servers that were killed."""

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from ...file_lock import LockTakenError, has_lock, release_lock, take_lock

PREFIX, LOCK = 'mmclip4clip-uploads-', 'server.lock'
STARTING = 60  # seconds between the creation of a lock file and the lock, at most


def make_private_folder() -> Path:
    """Create a folder that only this user can read, and lock it, after those of killed servers are deleted.

    Examples:
        >>> folder = make_private_folder()
        >>> sorted(path.name for path in folder.iterdir())
        ['server.lock']
        >>> delete_private_folder(folder)
    """
    delete_leftovers(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()  # of mode 700
    take_lock(folder / LOCK)
    return folder


def delete_private_folder(folder: Path) -> None:
    """Delete a folder of :func:`make_private_folder`, and what is in it."""
    release_lock(folder / LOCK)
    shutil.rmtree(folder, ignore_errors=True)


def delete_leftovers(parent: Path) -> None:
    """Delete the folders of servers that ended without deleting them, as by SIGKILL.

    The kernel releases the lock of a server when it ends. So a folder of this user whose lock is free, and
    not younger than a minute, has no server. Where locks are not supported, nothing is deleted.
    """
    for folder in parent.glob(f'{PREFIX}*'):
        try:
            found, locked = folder.lstat(), (folder / LOCK).lstat()
            is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            is_old = stat.S_ISREG(locked.st_mode) and time.time() - locked.st_mtime >= STARTING
            if not is_own or not is_old:
                continue
            lock = folder.resolve() / LOCK  # no link, which could be a loop
            take_lock(lock)
        except (OSError, LockTakenError):
            continue
        if has_lock(lock):
            delete_private_folder(lock.parent)
