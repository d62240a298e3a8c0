"""Find what changed in folders since they were indexed, by content where time stamps differ."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from ..datasets.remote_files import is_url
from ..datasets.video_names import is_video
from .catalog import Catalog, CatalogFile, FileStamp
from .file_digest import digest_file

URL_STAMP = FileStamp(0, 0, 0, 0)  # a URL stands for a content that does not change


class Copy(NamedTuple):
    """A file with the content of an indexed one.

    Args:
        path (str): The file.
        stamp (FileStamp): Its stamp from before it was compared.
        original (CatalogFile): The indexed file.

    Examples:
        >>> stamp = FileStamp(10, 1, 1, 7)
        >>> Copy('/b.mp4', stamp, CatalogFile('/a.mp4', stamp, 'ab', 60.0, 11)).original.segments
        11
    """

    path: str
    stamp: FileStamp
    original: CatalogFile


@dataclass
class Changes:
    """What an update of an index has to do.

    Args:
        to_encode (dict[str, FileStamp]): New and changed files.
        changed (set[str]): Those of them that the index has with another content.
        copies (dict[str, Copy]): Files that are the same as an indexed file, by path.
        moved (dict[str, str]): Path of the original that is gone, of those of them that were moved.
        touched (list[CatalogFile]): Files with a new stamp and the same content.
        removed (list[CatalogFile]): Files that are gone, the originals of moved ones included.
        unchanged (int): Number of the other files.
        unreadable (dict[str, str]): Reasons by file or folder.

    Examples:
        >>> Changes(unchanged=3).to_encode
        {}
    """

    to_encode: dict[str, FileStamp] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    copies: dict[str, Copy] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    touched: list[CatalogFile] = field(default_factory=list)
    removed: list[CatalogFile] = field(default_factory=list)
    unchanged: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


class VideoFolder:
    """The video files of a folder and its subfolders, with their stamps.

    Links to folders are not followed. Names that are not UTF-8, pipes and the like, and files and folders
    that the file system does not let read are in ``unreadable``.

    Args:
        path (str | Path): The folder, or one video file.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is a file that is no video, by its ending.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, 'a.mp4').write_bytes(b'12345')
        ...     found = VideoFolder(folder)
        >>> [stamp.size for stamp in found.stamps.values()]
        [5]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = os.path.realpath(path)
        self.stamps: dict[str, FileStamp] = {}
        self.unreadable: dict[str, str] = {}
        self._uncertain: set[str] = set()  # files that may be there
        self._closed: list[str] = []  # folders that may have any files
        if not os.path.exists(self.path):
            raise FileNotFoundError(f'the folder {path} does not exist')
        if not os.path.isdir(self.path):
            if not is_video(self.path):
                raise ValueError(f'{path} is no video, by its ending: expected a folder or a video')
            self._add(self.path)
            return
        for folder, _, names in os.walk(self.path, onerror=self._note):
            for name in filter(is_video, names):
                self._add(os.path.join(folder, name))

    def covers(self, path: str) -> bool:
        """Return whether a file would have been found if it were there."""
        if path != self.path and not path.startswith(self.path.rstrip('/') + '/'):
            return False
        return path not in self._uncertain and not any(path.startswith(f'{name}/') for name in self._closed)

    def _add(self, path: str) -> None:
        try:
            path.encode()
            found = os.stat(path)
        except UnicodeEncodeError:
            self.unreadable[ascii(path)] = 'its name is not UTF-8: rename it'
        except OSError as error:
            self.unreadable[path] = f'it cannot be read: {error.strerror}'
            if not isinstance(error, FileNotFoundError):
                self._uncertain.add(path)
        else:
            if stat.S_ISREG(found.st_mode):
                self.stamps[path] = to_stamp(found)
            else:  # to open a pipe would wait for its writer
                self.unreadable[path] = 'it is no regular file'

    def _note(self, error: OSError) -> None:
        self._closed.append(str(error.filename).rstrip('/'))
        self.unreadable[str(error.filename)] = f'the folder cannot be read: {error.strerror}'


def stamp_of(path: str) -> FileStamp:
    """Return the stamp of a file; all URLs have the same one, and are not looked at."""
    return URL_STAMP if is_url(path) else to_stamp(os.stat(path))


def to_stamp(found: os.stat_result) -> FileStamp:
    """Take the stamp from what the file system says of a file."""
    return FileStamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class VideoSource(Protocol):
    """Where an update looks for videos: a folder, or a list."""

    path: str
    stamps: dict[str, FileStamp]
    unreadable: dict[str, str]

    def covers(self, path: str) -> bool:
        """Return whether a file would have been found if it were there."""


def find_changes(folders: Iterable[VideoSource], catalog: Catalog) -> Changes:
    """Compare folders with the catalog.

    Files with an unchanged stamp are not read. A file with a new stamp is read and compared by its content.
    A new file is read if the index has a file of the same size, which it may be a copy of.

    Args:
        folders (Iterable[VideoSource]): What is there now.
        catalog (Catalog): What was there.
    """
    folders, changes = list(folders), Changes()
    for folder in folders:
        changes.unreadable.update(folder.unreadable)
    known = {file.path: file for file in catalog.files()}
    there = {path: stamp for folder in folders for path, stamp in folder.stamps.items()}
    for path, file in known.items():
        if path not in there and any(folder.covers(path) for folder in folders):
            changes.removed.append(file)
    new = dict(_compare_known(there, known, changes))
    _find_copies(new, known, changes)
    changes.to_encode = {path: there[path] for path in there if path in new}
    return changes


def _compare_known(
    there: dict[str, FileStamp], known: dict[str, CatalogFile], changes: Changes
) -> Iterator[tuple[str, FileStamp]]:
    """Yield the files to encode, unless they are copies; sort the others."""
    for path, stamp in there.items():
        before = known.get(path)
        if before is None:
            yield path, stamp
        elif before.retry:
            changes.changed.add(path)
            yield path, stamp
        elif before.stamp == stamp:
            changes.unchanged += 1
            if before.reason is not None:
                changes.unreadable[path] = before.reason
        elif before.stamp.size == stamp.size and _digest_or_none(path) == before.content:
            changes.touched.append(before._replace(stamp=stamp))
            changes.unchanged += 1
            if before.reason is not None:
                changes.unreadable[path] = before.reason
        else:
            changes.changed.add(path)
            yield path, stamp


def _find_copies(new: dict[str, FileStamp], known: dict[str, CatalogFile], changes: Changes) -> None:
    """Take copies of readable indexed files out of ``new``."""
    gone = {file.path for file in changes.removed}
    usable = {
        path: file
        for path, file in known.items()
        if file.reason is None and not file.retry and path not in changes.changed and file.content
    }
    sizes = {file.stamp.size for file in usable.values()}
    by_content: dict[str, CatalogFile] = {}
    for path, file in usable.items():  # one that is gone comes first: then the copy was moved
        if file.content not in by_content or path in gone:
            by_content[file.content] = file
    for path in [path for path, stamp in new.items() if stamp.size in sizes]:
        original = by_content.get(_digest_or_none(path) or '')
        if original is None:
            continue
        changes.copies[path] = Copy(path, new.pop(path), original)
        changes.changed.discard(path)
        if original.path in gone:
            gone.remove(original.path)  # other copies are new files
            changes.moved[path] = original.path


def _digest_or_none(path: str) -> str | None:
    """Digest a file; None if it cannot be read now, which the decoder will report."""
    try:
        return digest_file(path)
    except OSError:
        return None
