"""Videos that a Parquet file lists by path or URL."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..datasets.remote_files import check_scheme, is_url
from .catalog import FileStamp
from .changes import VideoFolder, stamp_of

ENDING = '.parquet'
COLUMNS = ('video', 'path', 'url')


def find_videos(path: str | Path) -> 'VideoFolder | VideoList':
    """Look for the videos of a folder, or take those of a Parquet file.

    Args:
        path (str | Path): A folder, one video file, or a Parquet file, by its ending.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is another file.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     find_videos(folder).stamps
        {}
    """
    return VideoList(path) if str(path).lower().endswith(ENDING) else VideoFolder(path)


class VideoList:
    """The videos of a Parquet file, with their stamps.

    Its column ``video``, ``path`` or ``url`` has absolute paths, paths relative to the folder of the Parquet
    file, or URLs. Files that do not exist are in ``unreadable``. What is at a URL is not looked at: a URL
    stands for a content that does not change.

    Args:
        path (str | Path): The Parquet file.

    Raises:
        FileNotFoundError: If it does not exist.
        ImportError: If pyarrow is not installed, or a package for its URLs.
        ValueError: If it is no Parquet file, has no such column or several, or the column has no names.

    Examples:
        >>> VideoList('videos.parquet').stamps  # doctest: +SKIP
        {'https://host/a.mp4': FileStamp(size=0, mtime_ns=0, ctime_ns=0, inode=0)}
    """

    def __init__(self, path: str | Path) -> None:
        self.path = os.path.realpath(path)
        self.stamps: dict[str, FileStamp] = {}
        self.unreadable: dict[str, str] = {}
        self._gone: set[str] = set()
        schemes: set[str] = set()
        for name in read_names(self.path):
            if is_url(name) and not name.lower().startswith('file://'):
                if (scheme := name.split('://')[0].lower()) not in schemes:
                    check_scheme(name)
                    schemes.add(scheme)
                self.stamps[name] = stamp_of(name)
            else:
                self._add(name)

    @property
    def names(self) -> set[str]:
        """Absolute paths and URLs, also of files that are not there."""
        return {*self.stamps, *self.unreadable}

    def covers(self, path: str) -> bool:
        """Return whether a file is listed and is certainly not there any more."""
        return path in self._gone

    def _add(self, name: str) -> None:
        if is_url(name):
            name = unquote(urlsplit(name).path)
        path = os.path.realpath(os.path.join(os.path.dirname(self.path), name))
        try:
            found = VideoFolder(path)
        except FileNotFoundError:
            self._gone.add(path)
            self.unreadable[path] = f'it is listed in {self.path}, but does not exist'
        except ValueError:
            self.unreadable[path] = f'it is listed in {self.path}, but is no video, by its ending'
        else:
            self.stamps.update(found.stamps)
            self.unreadable.update(found.unreadable)


def read_names(path: str) -> list[str]:
    """Read the column of names from a Parquet file.

    Raises: See :class:`VideoList`.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'the list {path} does not exist, or is no file')
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(f"{path}: Parquet files need pyarrow: pip install 'mmclip4clip[ray]'") from error
    try:
        table: Any = parquet.ParquetFile(path)
        columns = table.schema_arrow.names
        found = [name for name in COLUMNS if name in columns]
        if len(found) != 1:
            raise ValueError(f'expected one column called {", ".join(COLUMNS[:-1])} or url, got {columns}')
        values = table.read(columns=found).column(0).to_pylist()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ValueError(f'{path} is no list of videos: {error}') from error
    for number, value in enumerate(values):
        if not isinstance(value, str) or not value:
            raise ValueError(
                f'{path}, column {found[0]}, row {number}: expected a path or a URL, got {value!r}'
            )
    if not values:
        raise ValueError(f'the list {path} has no videos')
    return list(values)
