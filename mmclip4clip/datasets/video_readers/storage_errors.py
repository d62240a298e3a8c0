"""Distinguish temporary storage failures from damaged videos."""

import errno
import os
import stat

from .errors import NoVideoError, VideoReadError, VideoUnavailableError, describe

# Temporary errors of network file systems, mounts or a full process table. A file that existed before and is
# missing now (ENOENT) is usually on a lost mount. EACCES and EISDIR are permanent.
TRANSIENT = {
    getattr(errno, name)
    for name in (
        'EAGAIN',
        'EBUSY',
        'ECOMM',
        'ECONNABORTED',
        'ECONNREFUSED',
        'ECONNRESET',
        'EHOSTDOWN',
        'EHOSTUNREACH',
        'EINTR',
        'EIO',
        'EKEYEXPIRED',
        'EMFILE',
        'ENETDOWN',
        'ENETRESET',
        'ENETUNREACH',
        'ENFILE',
        'ENOBUFS',
        'ENODEV',
        'ENOENT',
        'ENOLCK',
        'ENOLINK',
        'ENOMEM',
        'ENOTCONN',
        'ENXIO',
        'EPIPE',
        'EPROTO',
        'EREMOTEIO',
        'ESHUTDOWN',
        'ESTALE',
        'ETIMEDOUT',
    )
    if hasattr(errno, name)
}
BLOCK = 2**20  # bytes


def read_error(error: BaseException) -> VideoReadError:
    """Convert an exception of a decoder or the system into an error of the storage or of the video."""
    if isinstance(error, VideoReadError):
        return error
    transient = isinstance(error, OSError) and error.errno in TRANSIENT
    return (VideoUnavailableError if transient else VideoReadError)(describe(error))


def diagnose_error(error: BaseException, filename: str | None) -> VideoReadError:
    """Check whether the storage caused a decoder error, which few decoders report.

    Args:
        error (BaseException): The exception of the decoder.
        filename (str, optional): The video, which is read once to its end.
    """
    found = read_error(error)
    known = isinstance(found, (VideoUnavailableError, NoVideoError)) or isinstance(error, MemoryError)
    if known or filename is None:
        return found
    storage = read_error(_fault(filename) or found)
    return storage if isinstance(storage, VideoUnavailableError) else found


def _fault(filename: str) -> OSError | None:
    try:
        if not stat.S_ISREG(os.stat(filename).st_mode):  # reading a pipe would never end
            return None
        file = StoredFile(filename)
        while file.read(BLOCK):
            pass
    except OSError as error:
        return error
    return None


def refuse_failing_storage(filename: str) -> None:
    """Read a file to its end, because a decoder that reads files itself may have ignored a failing read.

    Raises:
        OSError: The error of the storage.
    """
    fault = _fault(filename)
    if fault is not None:
        raise fault


def path_exists(filename: str, only_files: bool = False) -> bool:
    """Return whether a file or folder exists, or with ``only_files``, whether a file does.

    Raises:
        VideoUnavailableError: If the storage does not answer.
    """
    try:
        mode = os.stat(filename).st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in TRANSIENT:
            raise VideoUnavailableError(f'{filename} cannot be accessed; {describe(error)}') from error
        return False
    return stat.S_ISREG(mode) or not only_files


class StoredFile:
    """A file object for PyAV that reports storage errors; ffmpeg treats a failing read as the end of a file.

    Args:
        filename (str): The file.

    Raises:
        OSError: If it cannot be opened or read, or ends before its size.

    Examples:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(b'video'), file.flush()
        ...     StoredFile(file.name).read(100)
        b'video'
    """

    def __init__(self, filename: str) -> None:
        self.name, self._file, self._has_failed = filename, -1, False
        self._file = os.open(filename, os.O_RDONLY | os.O_CLOEXEC)
        state = os.fstat(self._file)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), filename)
        self._size = state.st_size if stat.S_ISREG(state.st_mode) else 0

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes; empty at the end of the file.

        Empty after an error too: PyAV raises the first error, and ffmpeg 7 would repeat the read forever.
        """
        if self._has_failed:
            return b''
        try:
            content = os.read(self._file, size)
            if not content and self.tell() < self._size:
                raise OSError(errno.EIO, f'it ends at byte {self.tell()} of {self._size}', self.name)
        except OSError:
            self._has_failed = True
            raise
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position in the file and return it, or a negative error number if it is invalid."""
        try:
            return os.lseek(self._file, offset, whence)
        except OSError as error:  # ffmpeg seeks to invalid positions from damaged files
            if error.errno not in (errno.EINVAL, errno.EOVERFLOW, errno.ESPIPE):
                raise
            return -error.errno

    def tell(self) -> int:
        """Return the position in the file."""
        return os.lseek(self._file, 0, os.SEEK_CUR) if self._size else 0

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    __del__ = close
