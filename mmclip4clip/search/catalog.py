"""The files of an index, in a SQLite file: what they contained when they were indexed."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

VERSION = 1
COLUMNS = dict(
    path='TEXT PRIMARY KEY',
    size='INTEGER',
    mtime_ns='INTEGER',
    ctime_ns='INTEGER',
    inode='INTEGER',
    content='TEXT',
    duration='REAL',
    segments='INTEGER',
    reason='TEXT',
    retry='INTEGER',
)
TABLE = f'files ({", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())}) WITHOUT ROWID'


class FileStamp(NamedTuple):
    """What the file system says of a file; any write changes it, also one that keeps the time stamp.

    Args:
        size (int): In bytes.
        mtime_ns (int): Time of the last change of the content, which programs can set.
        ctime_ns (int): Time of the last change of content, name or owner, which they cannot set.
        inode (int): Number of the file.

    Examples:
        >>> FileStamp(10, 1, 1, 7) == FileStamp(10, 1, 2, 7)
        False
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class CatalogFile(NamedTuple):
    """A file of the index.

    Args:
        path (str): Absolute path.
        stamp (FileStamp): Of the content that was indexed.
        content (str): Digest of the content, see :func:`digest_file`.
        duration (float): In seconds; 0 if the file cannot be read.
        segments (int): Number of its segments.
        reason (str, optional): Why it cannot be read; None if it can.
        retry (bool): Whether the reason may pass by itself, such as storage that does not answer.

    Examples:
        >>> CatalogFile('/v.mp4', FileStamp(10, 1, 1, 7), 'ab', 60.0, 11).reason is None
        True
    """

    path: str
    stamp: FileStamp
    content: str
    duration: float
    segments: int
    reason: str | None = None
    retry: bool = False


class Catalog:
    """The files of an index. Each change is a transaction: a killed process leaves the state before or after.

    Args:
        path (str | Path): The SQLite file, which is created if needed.

    Raises:
        ValueError: If the file is no catalog, or one of a later version.

    Examples:
        >>> catalog = Catalog(':memory:')
        >>> catalog.put([CatalogFile('/v/a.mp4', FileStamp(10, 1, 1, 7), 'ab', 60.0, 11)])
        >>> [file.path for file in catalog.files('/v')], len(catalog)
        (['/v/a.mp4'], 1)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        try:
            self._database = sqlite3.connect(str(path), timeout=60)
            (version,) = self._database.execute('PRAGMA user_version').fetchone()
            if version > VERSION:
                raise ValueError(f'{path} has version {version}, this mmclip4clip knows {VERSION}: update it')
            with self._database:
                if version < VERSION:
                    self._database.execute(f'CREATE TABLE IF NOT EXISTS {TABLE}')
                    self._database.execute(f'PRAGMA user_version = {VERSION}')
        except sqlite3.OperationalError as error:
            raise PermissionError(f'the catalog {path} cannot be opened or written: {error}') from error
        except sqlite3.DatabaseError as error:
            raise ValueError(f'{path} is no catalog of an index, or it is damaged: {error}') from error

    def __len__(self) -> int:
        return self._database.execute('SELECT COUNT(*) FROM files').fetchone()[0]

    def files(self, folder: str | None = None) -> list[CatalogFile]:
        """Return all files, or those in a folder and below, sorted by path."""
        if folder is None:
            return list(self._select('ORDER BY path'))
        below = folder.rstrip('/') + '/'
        end = below[:-1] + '0'  # the character after '/'
        return list(self._select('WHERE path > ? AND path < ? ORDER BY path', below, end))

    def file(self, path: str) -> CatalogFile | None:
        """Return a file; None if there is none of that path."""
        return next(self._select('WHERE path = ?', path), None)

    def state(self) -> int:
        """Return a number that changes when another connection has changed the catalog."""
        return self._database.execute('PRAGMA data_version').fetchone()[0]

    def any_file(self) -> CatalogFile | None:
        """Return a file that the store should have; None if there is none."""
        return next(self._select('WHERE segments > 0 AND NOT retry LIMIT 1'), None)

    def _select(self, condition: str, *values: str) -> Iterator[CatalogFile]:
        for row in self._database.execute(f'SELECT {", ".join(COLUMNS)} FROM files {condition}', values):
            path, *stamp, content, duration, segments, reason, retry = row
            yield CatalogFile(path, FileStamp(*stamp), content, duration, segments, reason, bool(retry))

    def put(self, files: Iterable[CatalogFile]) -> None:
        """Add files, or replace those of the same path."""
        rows = [
            (file.path, *file.stamp, file.content, file.duration, file.segments, file.reason, file.retry)
            for file in files
        ]
        with self._database:
            marks = ', '.join('?' * len(COLUMNS))
            self._database.executemany(f'INSERT OR REPLACE INTO files VALUES ({marks})', rows)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; unknown ones are ignored."""
        with self._database:
            self._database.executemany('DELETE FROM files WHERE path = ?', [(path,) for path in paths])

    def close(self) -> None:
        """Close the SQLite file."""
        self._database.close()
