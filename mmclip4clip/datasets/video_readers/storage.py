"""Tell a storage that does not answer now from a video that is damaged."""

import errno
import os
import stat

from .errors import NoVideoError, VideoReadError, VideoUnavailableError, describe

# What a network file system, a mount or a full process table says in passing. A file that was found
# once and is gone (ENOENT) is on a mount that is gone, more often than not. EACCES and EISDIR stay.
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
HEAD_BYTES = 4096, 2**20  # bytes of a file, and of one without a zero byte in these, as only texts are
PLAYLISTS = b'#EXTM3U', b'ffconcat', b'# VobSub index file'
MANIFESTS = b'<MPD', b'<CompositionPlaylist', b'c=IN IP'


def read_error(error: BaseException) -> VideoReadError:
    """Turn what a decoder or the system raised into an error of the storage or of the video."""
    if isinstance(error, VideoReadError):
        return error
    passing = isinstance(error, OSError) and error.errno in TRANSIENT
    return (VideoUnavailableError if passing else VideoReadError)(describe(error))


def diagnose_error(error: BaseException, filename: str | None) -> VideoReadError:
    """Find out whether the storage is at fault where a decoder failed, as few decoders say so.

    Args:
        error (BaseException): What the decoder raised.
        filename (str, optional): The video. It is read once to its end.
    """
    found = read_error(error)
    known = isinstance(found, (VideoUnavailableError, NoVideoError)) or isinstance(error, MemoryError)
    if known or filename is None:
        return found
    storage = read_error(_fault(filename) or found)
    return storage if isinstance(storage, VideoUnavailableError) else found


def _fault(filename: str) -> OSError | None:
    try:
        if not stat.S_ISREG(os.stat(filename).st_mode):  # reading from a pipe would never end
            return None
        file = StoredFile(filename)
        while file.read(BLOCK):
            pass
    except OSError as error:
        return error
    return None


def refuse_failing_storage(filename: str) -> None:
    """Read a file to its end, as a decoder with reads of its own may have stopped at one that failed.

    Raises:
        OSError: What the storage says.
    """
    fault = _fault(filename)
    if fault is not None:
        raise fault


def refuse_playlist(filename: str) -> None:
    """Refuse a text that is named like a video and makes ffmpeg open other files or addresses.

    Raises:
        NoVideoError: If it is HLS, DASH, IMF, a list of ffmpeg's own, a session description or an index of
            subtitles.
    """
    try:
        if not stat.S_ISREG(os.stat(filename).st_mode):  # reading from a pipe would never end
            return
        with open(filename, 'rb') as file:
            begin = file.read(HEAD_BYTES[0])
            begin += b'' if b'\0' in begin else file.read(HEAD_BYTES[1])
    except OSError:  # whoever reads it next says so
        return
    text = begin.lstrip(b'\xef\xbb\xbf \t\r\n')
    if text.startswith(PLAYLISTS) or b'\0' not in begin and any(word in begin for word in MANIFESTS):
        raise NoVideoError('it is a playlist, whose files are not read')


def path_exists(filename: str, only_files: bool = False) -> bool:
    """Tell whether a file or folder exists, or only whether a file does.

    Raises:
        VideoUnavailableError: If the storage does not say.
    """
    try:
        mode = os.stat(filename).st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in TRANSIENT:
            raise VideoUnavailableError(f'{filename} cannot be looked at; {describe(error)}') from error
        return False
    return stat.S_ISREG(mode) or not only_files


class StoredFile:
    """A file for PyAV that says what the storage says: ffmpeg takes a failing read for the end of the file.

    Args:
        filename (str): The file.

    Raises:
        OSError: If it cannot be opened, here or while it is read; or if it ends before its size.
    """

    def __init__(self, filename: str) -> None:
        self.name, self._file = filename, -1
        self._file = os.open(filename, os.O_RDONLY | os.O_CLOEXEC)
        state = os.fstat(self._file)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), filename)
        self._size = state.st_size if stat.S_ISREG(state.st_mode) else 0

    def read(self, size: int) -> bytes:
        """Read some bytes, none at the end."""
        content = os.read(self._file, size)
        if not content and self.tell() < self._size:
            raise OSError(errno.EIO, f'it ends at byte {self.tell()} of {self._size}', self.name)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file and return it; a negative number where there is no such place."""
        try:
            return os.lseek(self._file, offset, whence)
        except OSError as error:  # ffmpeg tries places that a damaged file names
            if error.errno not in (errno.EINVAL, errno.EOVERFLOW, errno.ESPIPE):
                raise
            return -error.errno

    def tell(self) -> int:
        """Return the place in the file."""
        return os.lseek(self._file, 0, os.SEEK_CUR) if self._size else 0

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    __del__ = close
