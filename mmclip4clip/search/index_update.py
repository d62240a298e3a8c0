"""Bring an index up to date with its folders."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..datasets.remote_files import resolve_name
from ..file_lock import LockTakenError, release_lock, take_lock
from .catalog import Catalog, CatalogFile, FileStamp
from .changes import Changes, VideoSource, find_changes, stamp_of
from .file_digest import digest_file
from .index_model import IndexedFile, IndexModel
from .segments import Segmenter
from .stores import SegmentRow, SegmentStore
from .video_list import ENDING, VideoList, find_videos

LOCK = 'update.lock'
BATCH_SEGMENTS, BATCH_SECONDS = 1000, 5.0  # encoded files are added in batches of this size and time
BATCH_FILES = 200  # copied or removed at once
T = TypeVar('T')
Track = Callable[[Iterable[IndexedFile], int], Iterable[IndexedFile]]


class IndexInUseError(RuntimeError):
    """Raised if another process or thread updates the index."""


class UpdateReport(NamedTuple):
    """What an update of an index did.

    Args:
        added (list[str]): New files.
        changed (list[str]): Files with another content than before.
        moved (list[tuple[str, str]]): Old and new path of files.
        removed (list[str]): Files that are gone.
        unchanged (int): Number of files that were as before.
        unreadable (dict[str, str]): Reasons of all files and folders that cannot be read.

    Examples:
        >>> UpdateReport([], [], [], [], 3, {}).unchanged
        3
    """

    added: list[str]
    changed: list[str]
    moved: list[tuple[str, str]]
    removed: list[str]
    unchanged: int
    unreadable: dict[str, str]


@contextmanager
def lock_index(folder: Path) -> Iterator[None]:
    """Keep other processes and threads from changing an index.

    Raises:
        IndexInUseError: If one does.
    """
    path = (folder / LOCK).resolve()
    try:
        take_lock(path)
    except LockTakenError as error:
        raise IndexInUseError(
            f'the index {folder} is being updated already: {error}. Wait until that ends'
        ) from error
    try:
        yield
    finally:
        release_lock(path)


def update_index(
    catalog: Catalog,
    store: SegmentStore,
    model: IndexModel,
    segments: Segmenter,
    folders: Iterable[str | Path],
    num_workers: int = 2,
    track: Track | None = None,
) -> UpdateReport:
    """Index the new and changed files of folders, and remove files that are gone.

    The store is changed before the catalog, so that after an interruption at any moment the next update
    does again what the catalog does not have, and replaces what the store has of it.

    Args: See :meth:`VideoIndex.update`.
    """
    found = [find_videos(folder) for folder in folders]
    for folder in found:
        _check_not_empty(folder, catalog)
    changes = find_changes(found, catalog)
    _copy_files(catalog, store, changes)
    catalog.put(changes.touched)
    _remove_files(catalog, store, changes.removed)
    encoded = model.encode_files([*changes.to_encode], segments, digest_file, num_workers)
    files = track(encoded, len(changes.to_encode)) if track and changes.to_encode else encoded
    readable = set()
    for batch in _batches(files):
        readable |= _add_files(catalog, store, changes, batch)
    store.optimize()
    moved = set(changes.moved.values())
    new = (readable | set(changes.copies)) - set(changes.moved)
    return UpdateReport(
        sorted(new - changes.changed),
        sorted(new & changes.changed),
        sorted((old, path) for path, old in changes.moved.items()),
        sorted({file.path for file in changes.removed} - moved),
        changes.unchanged,
        changes.unreadable,
    )


def remove_folder(catalog: Catalog, store: SegmentStore, folder: str | Path) -> list[str]:
    """Remove the files of a folder, of a list, or below a URL, and return their paths.

    Raises:
        ValueError: If the index has none.
    """
    path = resolve_name(str(folder))
    below = path.rstrip('/') + '/'
    listed = VideoList(path).names if path.lower().endswith(ENDING) else {path}
    files = [file for file in catalog.files() if file.path in listed or file.path.startswith(below)]
    if not files:
        raise ValueError(f'the index has no files of {path}')
    _remove_files(catalog, store, files)
    return [file.path for file in files]


def _check_not_empty(folder: VideoSource, catalog: Catalog) -> None:
    """Check that a folder has videos; an empty one may be a disk that is not there.

    Raises:
        ValueError: If it has none.
    """
    if folder.stamps or folder.unreadable:
        return
    known = len(catalog.files(folder.path))
    hint = (
        f', but the index has {known} files of it: is a disk not mounted? If they are gone, remove them: '
        f'mmclip4clip index --remove {folder.path}'
    )
    raise ValueError(
        f'the folder {folder.path} has no videos, by their endings such as .mp4{hint * bool(known)}'
    )


def _copy_files(catalog: Catalog, store: SegmentStore, changes: Changes) -> None:
    """Give moved and copied files the segments of their originals."""
    for copies in _slices(list(changes.copies.values()), BATCH_FILES):
        rows: dict[str, list[SegmentRow]] = {copy.original.path: [] for copy in copies}
        for row in store.get(sorted(rows)):
            rows[row.filename].append(row)
        found = [copy for copy in copies if len(rows[copy.original.path]) == copy.original.segments]
        files = [copy.original._replace(path=copy.path, stamp=copy.stamp) for copy in found]
        catalog.put(file._replace(retry=True) for file in files)  # see _add_files
        store.add([row._replace(filename=copy.path) for copy in found for row in rows[copy.original.path]])
        catalog.put(files)
        for copy in set(copies) - set(found):  # the store has lost the original
            changes.to_encode[copy.path] = copy.stamp
            del changes.copies[copy.path]
            changes.moved.pop(copy.path, None)


def _remove_files(catalog: Catalog, store: SegmentStore, files: Sequence[CatalogFile]) -> None:
    for part in _slices(files, BATCH_FILES):
        # If this process ends now and the files come back, they are encoded again.
        catalog.put(file._replace(retry=True) for file in part)
        store.delete([file.path for file in part])
        catalog.remove([file.path for file in part])


def _batches(files: Iterable[IndexedFile]) -> Iterator[list[IndexedFile]]:
    """Join files into batches of limited size and time."""
    batch: list[IndexedFile] = []
    begin, count = time.monotonic(), 0
    for file in files:
        batch.append(file)
        count += max(1, len(file.segments))
        if count >= BATCH_SEGMENTS or time.monotonic() - begin > BATCH_SECONDS:
            yield batch
            batch, begin, count = [], time.monotonic(), 0
    if batch:
        yield batch


def _add_files(
    catalog: Catalog, store: SegmentStore, changes: Changes, files: Sequence[IndexedFile]
) -> set[str]:
    """Add encoded files to the store, then to the catalog; return the paths of those that can be read."""
    entries, rows = [], []
    for file in files:
        stamp = changes.to_encode[file.filename]
        if file.unreadable is not None:
            changes.unreadable[file.filename] = file.unreadable
        rows += file.rows()
        retry = file.retry or not _is_unchanged(file.filename, stamp)  # while it was decoded
        entries.append(
            CatalogFile(
                file.filename, stamp, file.content, file.duration, len(file.segments), file.unreadable, retry
            )
        )
    # If this process ends now, the next update knows of rows in the store, and does the files again.
    catalog.put(entry._replace(retry=True) for entry in entries)
    store.delete([file.filename for file in files if file.unreadable is not None])
    store.add(rows)
    catalog.put(entries)
    return {file.filename for file in files if file.unreadable is None}


def _is_unchanged(path: str, stamp: FileStamp) -> bool:
    try:
        return stamp_of(path) == stamp
    except OSError:
        return False


def _slices(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
