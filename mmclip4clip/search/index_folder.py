"""The files in the folder of an index, and whether they belong together."""

from pathlib import Path

from ..atomic_file import UNFINISHED
from .catalog import Catalog
from .index_settings import FILE as SETTINGS
from .stores import SegmentStore, StoreError
from .stores.sqlite_store import FILE as SEGMENTS

CATALOG = 'catalog.sqlite'


def is_leftover(path: Path) -> bool:
    """Return whether a file is of a creation that was interrupted, which would end with the settings.

    Examples:
        >>> [is_leftover(Path(name)) for name in ('catalog.sqlite-journal', 'index.json', 'a.mp4')]
        [True, False, False]
    """
    return path.name.startswith((CATALOG, SEGMENTS, f'{SETTINGS}{UNFINISHED}'))


def check_store(store: SegmentStore, catalog: Catalog, folder: Path) -> SegmentStore:
    """Return a store if it has what the catalog says, by one file; close it otherwise.

    Raises:
        StoreError: If it does not.
    """
    known = catalog.any_file()
    if known is not None and not store.get([known.path]):
        store.close()
        raise StoreError(
            f'the index {folder} has lost its segments, of {known.path} at least: restore its store from a '
            'backup, or make another index'
        )
    return store
