"""The tables of :class:`SQLiteStore`."""

import sqlite3
from pathlib import Path

from .base import StoreError

VERSION = 1
FIELDS = 'filename, number, start, "end", duration, whole, moment'
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS segments (id INTEGER PRIMARY KEY AUTOINCREMENT, filename TEXT NOT NULL,
    number INTEGER NOT NULL, start REAL NOT NULL, "end" REAL NOT NULL, duration REAL NOT NULL,
    whole INTEGER NOT NULL, moment INTEGER NOT NULL, vector BLOB NOT NULL, features BLOB NOT NULL,
    UNIQUE (filename, number));
CREATE TABLE IF NOT EXISTS candidates (kind TEXT PRIMARY KEY, file TEXT NOT NULL, last_id INTEGER NOT NULL,
    count INTEGER NOT NULL);
PRAGMA user_version = {VERSION};
"""  # AUTOINCREMENT: candidates are known by their id, which must never be used again
PAGE_BYTES = 16384  # vectors of 2 KiB would fill half of SQLite's default pages


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file of a store, or create it with its tables.

    Raises:
        StoreError: If a newer version of this package wrote it.
        sqlite3.Error: If it cannot be used.
    """
    database = sqlite3.connect(str(path), timeout=60)
    (version,) = database.execute('PRAGMA user_version').fetchone()
    if version > VERSION:
        raise StoreError(f'{path} has version {version}, this mmclip4clip knows {VERSION}: update it')
    if version < VERSION:
        database.execute(f'PRAGMA page_size = {PAGE_BYTES}')
        database.executescript(SCHEMA)
    return database
