"""Disk quota of a folder, shared by all processes that write to it."""

import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BLOCK = 4096  # bytes; file systems allocate whole blocks
COUNT = 'size.txt'  # in the folder: the size of its entries, and a checksum
PARTIAL = '.partial'  # suffix of a file that is being written


class DiskQuota:
    """Limit the total size of the files that all processes write to a folder.

    A file in the folder stores the total size, and one process at a time may change it. A new file is counted
    and created with its full size in one step, so the limit holds for any number of processes. The stored
    size is never too low. When it reaches the limit, the real size is measured, because files may have been
    deleted, and the unfinished files of killed processes are removed. On a file system without locks
    (``flock``), the stored size may miss concurrent writes.

    Args:
        folder (Path): The folder. Its files are in subfolders.
        max_bytes (int): Maximum total size in bytes.

    Examples:
        >>> import os, pathlib, tempfile
        >>> from mmclip4clip.datasets.frame_cache import DiskQuota
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     subfolder = pathlib.Path(folder, 'ab')
        ...     subfolder.mkdir()
        ...     quota = DiskQuota(pathlib.Path(folder), max_bytes=8192)
        ...     first = quota.create(subfolder / '1.partial', size=8192)
        ...     second = quota.create(subfolder / '2.partial', size=8192)
        ...     os.close(first)
        >>> second is None
        True
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes

    def create(self, path: Path, size: int, replaced: int = 0) -> int | None:
        """Create a file for writing, if the quota allows it.

        Args:
            path (Path): The file, which must not exist. Its name ends with ``PARTIAL``.
            size (int): Its size in bytes.
            replaced (int): Size in bytes of the file that it will replace.

        Returns:
            int | None: A descriptor to write to, which the caller closes; None if the limit is reached.

        Raises:
            OSError: If the file cannot be created.
        """
        more = disk_usage(size) - disk_usage(replaced)
        with self._locked() as count:
            used = _read_count(count)
            if used is None or used + more > self.max_bytes:
                used = self._measure()
            if used + more > self.max_bytes:
                _write_count(count, used)
                return None
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                _lock(descriptor)  # the lock ends with the process, so an unlocked file is abandoned
                os.ftruncate(descriptor, size)
                _write_count(count, used + more)
            except BaseException:
                os.close(descriptor)
                path.unlink()
                raise
            return descriptor

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open and lock the file that stores the total size."""
        count = os.open(self.folder / COUNT, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _lock(count, wait=True)
            try:
                yield count
            finally:
                if locked:  # a process forked in the meantime shares the descriptor
                    fcntl.flock(count, fcntl.LOCK_UN)
        finally:
            os.close(count)

    def _measure(self) -> int:
        """Measure the size of all files, and remove unfinished files of processes that have ended."""
        total = 0
        for folder in self.folder.glob('[0-9a-f][0-9a-f]'):
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as files:
                for file in files:
                    if file.name.endswith(PARTIAL) and _remove_abandoned(file.path):
                        continue
                    with suppress(FileNotFoundError):
                        total += disk_usage(file.stat(follow_symlinks=False).st_size)
        return total


def disk_usage(size: int) -> int:
    """Round a file size up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _lock(descriptor: int, wait: bool = False, seconds: float = 30) -> bool:
    """Try to lock a file and return whether that succeeded; with ``wait``, wait for another process.

    Raises:
        TimeoutError: If the other process does not release the lock.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if not wait:
                return False
            if (
                time.monotonic() >= deadline
            ):  # normally held for milliseconds, longer if its process is stopped
                raise TimeoutError(f'another process has locked it for {seconds} s') from None
            time.sleep(0.001)
        except OSError:  # a file system without locks
            return False


def _remove_abandoned(path: str) -> bool:
    """Remove a file that no process is writing, and return whether it was removed."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        abandoned = _lock(descriptor)
        if abandoned:
            os.unlink(path)
        return abandoned
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _read_count(descriptor: int) -> int | None:
    """Return the bytes in use; None if the stored size is missing or damaged."""
    try:
        used, checksum = os.pread(descriptor, 64, 0).split()
        return int(used) if zlib.crc32(used) == int(checksum) else None
    except ValueError:
        return None


def _write_count(descriptor: int, used: int) -> None:
    """Store the bytes in use, in a fixed-length format."""
    digits = b'%020d' % used
    os.pwrite(descriptor, b'%s %010d\n' % (digits, zlib.crc32(digits)), 0)
