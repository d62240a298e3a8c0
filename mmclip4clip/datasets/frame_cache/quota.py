"""How much a folder of files may take on disk, over all processes that write to it."""

import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BLOCK = 4096  # bytes; file systems give whole blocks
COUNT = 'size.txt'  # in the folder: what its entries take, and a checksum
PARTIAL = '.partial'  # what the name of a file that is being written ends with


class DiskQuota:
    """Count what all processes write to a folder, and say when that is enough.

    The count lies in a file of the folder, which one process at a time may change. A file that shall be
    written is counted and made, with its full size, in one step, so that the limit holds for any number
    of processes. The count never is too low; when it reaches the limit, what really lies there is added
    up, as files may have been deleted, and what a killed process left behind is removed. On a file
    system without locks (``flock``) it is off by what processes write in the same moment.

    Args:
        folder (Path): The folder; files lie in folders of it.
        max_bytes (int): The most that they may take.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes

    def create(self, path: Path, size: int, replaced: int = 0) -> int | None:
        """Make a file to be written, if there is room for it.

        Args:
            path (Path): The file, which must not exist; its name ends with ``PARTIAL``.
            size (int): Bytes that it will have.
            replaced (int): Bytes of the file that it is going to replace.

        Returns:
            int, optional: A descriptor to write to, to be closed by the caller. None if the limit
            is reached.

        Raises:
            OSError: If the file cannot be made.
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
                _lock(descriptor)  # it goes with the process: what is not locked was left behind
                os.ftruncate(descriptor, size)
                _write_count(count, used + more)
            except BaseException:
                os.close(descriptor)
                path.unlink()
                raise
            return descriptor

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file of the count and keep other processes out of it."""
        count = os.open(self.folder / COUNT, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _lock(count, wait=True)
            try:
                yield count
            finally:
                if locked:  # a process that was forked meanwhile has the descriptor too
                    fcntl.flock(count, fcntl.LOCK_UN)
        finally:
            os.close(count)

    def _measure(self) -> int:
        """Add up all files, and remove those whose process has ended before they were complete."""
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
    """Round a file's size up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _lock(descriptor: int, wait: bool = False, seconds: float = 30) -> bool:
    """Lock a file, and tell whether that succeeded; wait for a process that has locked it if asked to.

    Raises:
        TimeoutError: If that process does not let go of it.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if not wait:
                return False
            if time.monotonic() >= deadline:  # it is held for milliseconds, unless its process was stopped
                raise TimeoutError(f'another process has locked it for {seconds} s') from None
            time.sleep(0.001)
        except OSError:  # a file system without locks
            return False


def _remove_abandoned(path: str) -> bool:
    """Remove a file if no process is writing it any more."""
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
    """Return the bytes in use, or None if the count is missing or damaged."""
    try:
        used, checksum = os.pread(descriptor, 64, 0).split()
        return int(used) if zlib.crc32(used) == int(checksum) else None
    except ValueError:
        return None


def _write_count(descriptor: int, used: int) -> None:
    """Write the bytes in use, in a form of fixed length."""
    digits = b'%020d' % used
    os.pwrite(descriptor, b'%s %010d\n' % (digits, zlib.crc32(digits)), 0)
