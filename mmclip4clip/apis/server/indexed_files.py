"""The files of an index, by identifiers that are no paths, and only while they are what was indexed."""

import hashlib
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...search.catalog import Catalog, CatalogFile, FileStamp
from ...search.changes import to_stamp
from ...search.file_digest import digest_open_file
from ...search.index_folder import CATALOG
from .errors import RequestError
from .folder_names import FolderNames
from .worker_pool import WorkerPool

SCAN_EVERY = 2.0  # seconds between two looks at the whole catalog, while another process changes it
REMEMBERED = 10_000  # files with another stamp and the same content


class IndexSummary(NamedTuple):
    """What an index contains.

    Args:
        videos (int): Readable files.
        segments (int): Their segments.
        folders (FolderNames): Their folders.

    Examples:
        >>> IndexSummary(2, 22, FolderNames(['/v'])).videos
        2
    """

    videos: int
    segments: int
    folders: FolderNames


class IndexedFiles:
    """Finds and opens files of an index, and no others.

    An identifier is a digest of the path. It says nothing about the path, and only files of the catalog have
    one. A file is opened only if it is still the one that was indexed: size, times and inode of the open file
    are compared, and if they differ the digest of its content. So a link or another file that was put in its
    place is refused.

    Args:
        folder (Path): The folder of the index.

    Examples:
        >>> files = IndexedFiles(Path('index'))  # doctest: +SKIP
        >>> await files.find(video_id('/videos/dog.mp4'))  # doctest: +SKIP
        CatalogFile(path='/videos/dog.mp4', ...)
    """

    def __init__(self, folder: Path) -> None:
        self._catalog_pool = WorkerPool(
            'look-ups', threads=1, waiting=1000
        )  # SQLite's connection has one thread
        self._file_pool = WorkerPool('openings of files', threads=4, waiting=200)
        self._catalog_path = folder / CATALOG
        self._inode = inode_of(self._catalog_path)
        self._catalog = self._catalog_pool.call(Catalog, self._catalog_path)
        self._paths: dict[bytes, str] = {}
        self._state, self._scanned = -1, 0.0
        self._same: dict[tuple[str, FileStamp], str] = {}  # digests of files with another stamp
        self._summary = IndexSummary(0, 0, FolderNames(()))
        self._catalog_pool.call(self._scan, True)

    async def find(self, identifier: str) -> CatalogFile:
        """Return the entry of a readable video.

        Raises:
            RequestError: With status 404 if the index has none of this identifier.
        """
        return await self._catalog_pool.run(self._find, identifier)

    async def summary(self) -> IndexSummary:
        """Count the videos of the index, and list their folders.

        Raises:
            RequestError: With status 503 if the index was deleted, or another one is in its place.
        """
        return await self._catalog_pool.run(self._scan)

    def remember(self, paths: Iterable[str]) -> None:
        """Give identifiers to files that a search has found, which may be newer than the last look."""
        self._paths.update((bytes.fromhex(video_id(path)), path) for path in paths)

    async def open(self, file: CatalogFile) -> BinaryIO:
        """Open a file of the catalog for reading.

        Raises:
            RequestError: With status 404 if it is gone, or is not what was indexed.
        """
        return await self._file_pool.run(self.open_checked, file)

    def open_checked(self, file: CatalogFile) -> BinaryIO:
        """Open a file of the catalog for reading, in this thread. See :meth:`open`."""
        try:  # without O_NONBLOCK, a pipe in its place would wait for a writer
            opened = os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), 'rb')
        except OSError as error:
            raise RequestError(404, 'the file is not there any more, or cannot be read', 'id') from error
        try:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode) or not self._is_same(opened, to_stamp(found), file):
                raise RequestError(404, 'the file has changed since it was indexed: update the index', 'id')
        except BaseException:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """Close the catalog."""
        self._file_pool.close()
        self._catalog_pool.call(self._catalog.close)
        self._catalog_pool.close()

    def _is_same(self, opened: BinaryIO, stamp: FileStamp, file: CatalogFile) -> bool:
        """Return whether an open file has the content that was indexed."""
        if stamp == file.stamp:
            return True
        if stamp.size != file.stamp.size or not file.content:
            return False
        key = (file.path, stamp)
        if key not in self._same:
            if len(self._same) >= REMEMBERED:
                self._same.clear()
            self._same[key] = digest_open_file(opened)
            opened.seek(0)
        return self._same[key] == file.content

    def _find(self, identifier: str) -> CatalogFile:
        try:
            key = bytes.fromhex(identifier)
        except ValueError:
            key = b''
        path = self._paths.get(key)
        if path is None:
            self._scan()
            path = self._paths.get(key)
        file = None if path is None else self._catalog.file(path)
        if file is None or file.reason is not None:
            raise RequestError(404, 'the index has no such video', 'id')
        return file

    def _scan(self, at_once: bool = False) -> IndexSummary:
        """Read the catalog if it has changed, but not all the time while it changes."""
        if inode_of(self._catalog_path) != self._inode:  # the open one would be served for ever
            raise RequestError(503, 'the index was deleted or replaced: start the server again', None, 5)
        now = time.monotonic()
        if at_once or now - self._scanned >= SCAN_EVERY:
            state = self._catalog.state()
            if state != self._state:
                files = [file for file in self._catalog.files() if file.reason is None]
                self._paths = {bytes.fromhex(video_id(file.path)): file.path for file in files}
                folders = FolderNames({os.path.dirname(file.path) for file in files})
                self._summary = IndexSummary(len(files), sum(file.segments for file in files), folders)
                self._state = state
            self._scanned = time.monotonic()
        return self._summary


def inode_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def video_id(path: str) -> str:
    """Identify a file by a digest of its path, 32 characters.

    Examples:
        >>> len(video_id('/videos/dog.mp4'))
        32
    """
    return hashlib.blake2b(path.encode(), digest_size=16).hexdigest()
