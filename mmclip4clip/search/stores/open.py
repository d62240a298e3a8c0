"""Choose the store by its address."""

from pathlib import Path
from urllib.parse import urlsplit

from .base import SegmentStore
from .sqlite_store import SQLiteStore


def open_store(url: str | None, folder: str | Path, width: int, owner: str | None = None) -> SegmentStore:
    """Open a store.

    Args:
        url (str, optional): ``postgresql://USER@HOST/DATABASE#TABLE`` for a PostgreSQL server with pgvector;
            None for a SQLite file in the folder.
        folder (str | Path): The folder of the index.
        width (int): Width D of the vectors.
        owner (str, optional): Identifier of the index. A table on a server belongs to the first one.

    Raises:
        ValueError: If there is no store for such an address.
        StoreError: If the store cannot be reached, or belongs to another index.

    Examples:
        >>> open_store('redis://localhost', '.', 512)
        Traceback (most recent call last):
        ValueError: no store for 'redis://localhost': expected postgresql://USER@HOST/DATABASE#TABLE
    """
    if url is None:
        return SQLiteStore(Path(folder), width)
    if urlsplit(url).scheme in ('postgresql', 'postgres'):
        from .postgresql_store import PostgreSQLStore

        return PostgreSQLStore(url, width, owner)
    raise ValueError(f'no store for {url!r}: expected postgresql://USER@HOST/DATABASE#TABLE')
