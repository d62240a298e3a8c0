"""A store on a PostgreSQL server with pgvector, for several machines."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urldefrag

import numpy as np

from ..answers import EVERYTHING, Filter
from .base import Hit, SegmentRow, SegmentStore, StoreError, check_vector, without_password
from .sql_filter import condition_of, values_of
from .sqlite_store import EXACT

TABLE = 'mmclip4clip_segments'
FIELDS = 'filename, number, start, "end", duration, whole, moment, vector::text AS content, features'
CANDIDATES, OVERSAMPLING = 400, 8  # from the index, at least, and per wanted segment; compared exactly


class PostgreSQLStore(SegmentStore):
    """Keeps segments in a table of a PostgreSQL database with the extension pgvector.

    Up to ``EXACT`` segments, a search compares all vectors. For more, :meth:`optimize` creates an HNSW index
    of vectors in half precision, whose candidates are compared exactly.

    Args:
        url (str): ``postgresql://USER@HOST/DATABASE#TABLE``, with any option of libpq after ``?``. A password
            is better kept in the file of passwords of PostgreSQL, because the settings of an index contain
            the address.
        width (int): Width D of the vectors.
        owner (str, optional): Identifier of the index; the table keeps the first one in its comment.

    Raises:
        ImportError: If psycopg is not installed.
        ValueError: If the table has an impossible name.
        StoreError: If the server cannot be reached, has no pgvector, or has the table with another width or
            of another index.

    Examples:
        >>> PostgreSQLStore('postgresql://localhost/videos#9 lives', 512)
        Traceback (most recent call last):
        ValueError: the table '9 lives' must be named with letters, digits and _, and start with a letter
    """

    def __init__(self, url: str, width: int, owner: str | None = None) -> None:
        self.url, table = urldefrag(url)
        self.table, self.width = table or TABLE, width
        if not re.fullmatch(r'[a-z][a-z0-9_]{0,50}', self.table):
            raise ValueError(
                f'the table {self.table!r} must be named with letters, digits and _, and start with a letter'
            )
        try:
            import psycopg
            import psycopg.sql
        except ImportError as error:
            raise ImportError(
                "stores on PostgreSQL need psycopg: pip install 'mmclip4clip[postgresql]'"
            ) from error
        self._psycopg = psycopg
        self._connection: Any = None
        with self._cursor() as cursor:
            self._create_table(cursor)
            if owner is not None:
                self._check_owner(cursor, f'mmclip4clip index {owner}')

    @property
    def name(self) -> str:
        """The address without the password, for messages."""
        return without_password(f'{self.url}#{self.table}')

    def add(self, rows: Sequence[SegmentRow]) -> None:
        """Add segments; they replace all segments of their files."""
        for row in rows:
            check_vector(row, self.width)
        values = [(*row[:7], _to_text(row.vector), row.features) for row in rows]
        with self._cursor() as cursor:
            self._delete(cursor, {row.filename for row in rows})
            with cursor.copy(f'COPY {self.table} FROM STDIN') as copy:
                for row_values in values:
                    copy.write_row(row_values)

    def delete(self, filenames: Sequence[str]) -> None:
        """Delete the segments of files; unknown ones are ignored."""
        with self._cursor() as cursor:
            self._delete(cursor, filenames)

    def get(self, filenames: Sequence[str]) -> list[SegmentRow]:
        """Return the segments of files, sorted by file and number."""
        with self._cursor() as cursor:
            cursor.execute(
                f'SELECT {FIELDS} FROM {self.table} WHERE filename = ANY(%s) '
                'ORDER BY filename COLLATE "C", number',
                (list(filenames),),
            )
            return [_to_row(row) for row in cursor.fetchall()]

    def search(self, vector: np.ndarray, top: int, whole: bool, where: Filter = EVERYTHING) -> list[Hit]:
        """Find the segments with the highest cosine, see :class:`SegmentStore`."""
        kind, query = 'whole' if whole else 'moment', _to_text(vector)
        half = f'vector::halfvec({self.width}) <#> %s::halfvec({self.width})'
        number = max(CANDIDATES, OVERSAMPLING * top)
        condition = condition_of(where, '%s', 'filename COLLATE "C"')
        with self._cursor() as cursor:
            cursor.execute('SET LOCAL hnsw.iterative_scan = strict_order')
            cursor.execute(f'SET LOCAL hnsw.ef_search = {min(1000, number)}')
            statement = (
                'SELECT *, vector <#> %s::vector AS negative FROM '
                f'(SELECT {FIELDS}, vector FROM {self.table} WHERE {kind}{condition} '
                f'ORDER BY {half} LIMIT %s) AS found '
                'ORDER BY negative, filename COLLATE "C", number LIMIT %s'
            )
            values = (query, *values_of(where), query, number, top)
            rows = cursor.execute(statement, values).fetchall()
            if len(rows) < top:  # the index gives up where few of its rows pass the filter
                cursor.execute('SET LOCAL enable_indexscan = off')
                rows = cursor.execute(statement, values).fetchall()
            return [Hit(-float(row[-1]), _to_row(row)) for row in rows]

    def __len__(self) -> int:
        with self._cursor() as cursor:
            return cursor.execute(f'SELECT COUNT(*) FROM {self.table}').fetchone()[0]

    def optimize(self) -> None:
        """Create the indexes of many segments; the server keeps them up to date."""
        for kind in ('moment', 'whole'):
            with self._cursor() as cursor:
                (count,) = cursor.execute(f'SELECT COUNT(*) FROM {self.table} WHERE {kind}').fetchone()
                if count > EXACT:
                    cursor.execute(
                        f'CREATE INDEX IF NOT EXISTS {self.table}_{kind} ON {self.table} USING hnsw '
                        f'((vector::halfvec({self.width})) halfvec_ip_ops) WHERE {kind}'
                    )

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """Run a transaction, on a new connection if the former is lost."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._psycopg.connect(self.url, connect_timeout=20)
            with self._connection.transaction(), self._connection.cursor() as cursor:
                yield cursor
        except self._psycopg.Error as error:
            raise StoreError(f'the store {self.name} cannot be used: {str(error).strip()}') from error

    def _create_table(self, cursor: Any) -> None:
        cursor.execute('CREATE EXTENSION IF NOT EXISTS vector')
        cursor.execute(
            f'CREATE TABLE IF NOT EXISTS {self.table} (filename text, number integer, start float8, '
            '"end" float8, duration float8, whole boolean, moment boolean, '
            f'vector vector({self.width}), features bytea, PRIMARY KEY (filename, number))'
        )
        (width,) = cursor.execute(
            "SELECT atttypmod FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'vector'",
            (self.table,),
        ).fetchone()
        if width != self.width:
            raise StoreError(
                f'the store {self.name} has vectors of {width} numbers, this model has {self.width}: choose '
                'another table, with #TABLE at the end of the address'
            )

    def _check_owner(self, cursor: Any, owner: str) -> None:
        found = self._read_owner(cursor)
        if found is None:
            cursor.execute(f'LOCK TABLE {self.table}')  # another index may be created now
            found = self._read_owner(cursor)
            (is_empty,) = cursor.execute(f'SELECT NOT EXISTS (SELECT 1 FROM {self.table})').fetchone()
            if found is None and is_empty:
                comment = self._psycopg.sql.SQL('COMMENT ON TABLE {} IS {}')
                cursor.execute(comment.format(self._psycopg.sql.Identifier(self.table), owner))
                return
        if found != owner:
            raise StoreError(
                f'the store {self.name} belongs to another index: choose another table, with #TABLE at the '
                'end of the address, or drop that one'
            )

    def _read_owner(self, cursor: Any) -> str | None:
        cursor.execute("SELECT obj_description(%s::regclass, 'pg_class')", (self.table,))
        return cursor.fetchone()[0]

    def _delete(self, cursor: Any, filenames: Any) -> None:
        cursor.execute(f'DELETE FROM {self.table} WHERE filename = ANY(%s)', (list(filenames),))


def _to_text(vector: np.ndarray) -> str:
    return json.dumps(np.asarray(vector, np.float32).tolist())


def _to_row(row: Sequence[Any]) -> SegmentRow:
    filename, number, start, end, duration, whole, moment, content, features = row[:9]
    vector = np.array(json.loads(content), np.float32)
    return SegmentRow(filename, number, start, end, duration, whole, moment, vector, bytes(features))
