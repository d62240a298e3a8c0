"""The embedded store: one SQLite file, and for large indexes a FAISS file beside it."""

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import numpy as np

from ...logs import print_log
from ..answers import EVERYTHING, Filter
from .base import Hit, SegmentRow, SegmentStore, StoreError, check_vector
from .candidate_index import CandidateIndex, import_faiss, num_samples
from .sql_filter import condition_of, values_of
from .sqlite_schema import FIELDS, open_database

FILE = 'segments.sqlite'
EXACT = 50_000  # segments that a search compares one by one; more use candidates
NAMES_AT_ONCE = 500  # SQLite limits the values of a statement
ROWS_AT_ONCE = 20_000
OVERSAMPLING, MIN_CANDIDATES = 8, 100  # candidates per wanted segment, which are then compared exactly


class SQLiteStore(SegmentStore):
    """Keeps segments in one SQLite file, which a killed process cannot damage.

    Up to ``EXACT`` segments, a search compares all vectors. For more, :meth:`optimize` writes a file of
    :class:`CandidateIndex`. Its candidates, and the segments added since, are compared exactly. That file is
    a copy, which can be written again from the SQLite file at any time.

    Args:
        folder (Path): The folder of the index.
        width (int): Width D of the vectors.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = SQLiteStore(Path(folder), width=2)
        ...     vectors = np.eye(2, dtype=np.float32)
        ...     store.add([SegmentRow(f'/{n}.mp4', 0, 0., 4., 4., True, True, vectors[n]) for n in (0, 1)])
        ...     hits = store.search(vectors[1], top=1, whole=False)
        ...     store.close()
        >>> [(hit.row.filename, hit.score) for hit in hits]
        [('/1.mp4', 1.0)]
    """

    def __init__(self, folder: Path, width: int) -> None:
        self.path, self.width = folder / FILE, width
        with self._errors():
            self._database = open_database(self.path)
        self._vectors: dict[tuple[str, int], tuple[tuple[int, int], np.ndarray, np.ndarray]] = {}
        self._candidates: dict[str, CandidateIndex | None] = {}

    def add(self, rows: Sequence[SegmentRow]) -> None:
        """Add segments; they replace all segments of their files."""
        for row in rows:
            check_vector(row, self.width)
        values = [(*row[:7], np.asarray(row.vector, '<f4').tobytes(), row.features) for row in rows]
        with self._errors(), self._database:
            self._delete({row.filename for row in rows})
            self._database.executemany(
                f'INSERT INTO segments ({FIELDS}, vector, features) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
                values,
            )

    def delete(self, filenames: Sequence[str]) -> None:
        """Delete the segments of files; unknown ones are ignored."""
        with self._errors(), self._database:
            self._delete(filenames)

    def get(self, filenames: Sequence[str]) -> list[SegmentRow]:
        """Return the segments of files, sorted by file and number."""
        names, rows = sorted(set(filenames)), []
        with self._errors():
            for start in range(0, len(names), NAMES_AT_ONCE):
                part = names[start : start + NAMES_AT_ONCE]
                rows += self._database.execute(
                    f'SELECT {FIELDS}, vector, features FROM segments WHERE filename IN '
                    f'({", ".join("?" * len(part))}) ORDER BY filename, number',
                    part,
                ).fetchall()
        return [_to_row(row) for row in rows]

    def search(self, vector: np.ndarray, top: int, whole: bool, where: Filter = EVERYTHING) -> list[Hit]:
        """Find the segments with the highest cosine, see :class:`SegmentStore`."""
        kind, query = 'whole' if whole else 'moment', np.asarray(vector, np.float32)
        with self._errors(), self._database:  # one state of the file, while another process changes it
            self._database.execute('BEGIN')
            ids, scores = self._compare_candidates(kind, query, top, where)
            if len(ids) < top:
                ids, scores = self._compare_all(kind, query, where)
            best = np.lexsort((ids, -scores))[:top]
            return self._hits(ids[best].tolist(), scores[best].tolist())

    def __len__(self) -> int:
        with self._errors():
            return self._database.execute('SELECT COUNT(*) FROM segments').fetchone()[0]

    def optimize(self) -> None:
        """Write the candidates of many segments, if there are none yet, or many segments changed since."""
        with self._errors():
            for kind in ('moment', 'whole'):
                count, last = self._one(f'SELECT COUNT(*), MAX(id) FROM segments WHERE {kind}')
                known = self._one('SELECT last_id, count FROM candidates WHERE kind = ?', kind)
                if count > EXACT and known is not None:
                    (kept,) = self._one(f'SELECT COUNT(*) FROM segments WHERE {kind} AND id <= ?', known[0])
                    if count - kept <= EXACT and kept >= known[1] / 2 and self._open_candidates(kind):
                        continue
                if count > EXACT:
                    self._write_candidates(kind, count, last)

    def close(self) -> None:
        """Close the files."""
        self._database.close()
        self._candidates.clear()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Name the file in the errors of SQLite."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f'the store {self.path} cannot be used: {error}') from error

    def _one(self, query: str, *values: object) -> tuple:
        return self._database.execute(query, values).fetchone()

    def _delete(self, filenames: Iterable[str]) -> None:
        names = [(name,) for name in filenames]
        self._database.executemany('DELETE FROM segments WHERE filename = ?', names)

    def _compare_all(
        self, kind: str, query: np.ndarray, where: Filter, after: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and cosines of all segments with an id above ``after``, (M,) each."""
        if where == EVERYTHING:
            ids, vectors = self._read_vectors(kind, after)
        else:
            ids, vectors = self._fetch(f'{kind} AND id > ?{condition_of(where)}', after, *values_of(where))
        return ids, vectors @ query

    def _compare_candidates(
        self, kind: str, query: np.ndarray, top: int, where: Filter
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and cosines of candidates and of the segments added since; none without candidates."""
        nothing = np.zeros(0, np.int64), np.zeros(0, np.float32)
        entry = self._one('SELECT last_id FROM candidates WHERE kind = ?', kind)
        if entry is None:
            return nothing
        allowed = None
        if where != EVERYTHING:
            found = self._database.execute(
                f'SELECT id FROM segments WHERE {kind} AND id <= ?{condition_of(where)}',
                (entry[0], *values_of(where)),
            )
            allowed = np.array([number for (number,) in found], np.int64)
        candidates = self._open_candidates(kind)
        if candidates is None or allowed is not None and len(allowed) <= EXACT:
            return nothing
        ids = candidates.search(query, max(MIN_CANDIDATES, OVERSAMPLING * top), allowed)
        ids, vectors = self._fetch(f'id IN ({", ".join(map(str, ids.tolist()))})')
        new_ids, new_scores = self._compare_all(kind, query, where, entry[0])
        return np.concatenate([ids, new_ids]), np.concatenate([vectors @ query, new_scores])

    def _read_vectors(self, kind: str, after: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids (M,) and vectors (M, D), kept in memory until the file changes."""
        state = (self._one('PRAGMA data_version')[0], self._database.total_changes)
        kept = self._vectors.get((kind, after))
        if kept is None or kept[0] != state:
            kept = (state, *self._fetch(f'{kind} AND id > ?', after))
            self._vectors[kind, after] = kept
        return kept[1:]

    def _fetch(self, condition: str, *values: object) -> tuple[np.ndarray, np.ndarray]:
        """Read ids (M,) and vectors (M, D)."""
        rows = self._database.execute(f'SELECT id, vector FROM segments WHERE {condition}', values).fetchall()
        vectors = np.frombuffer(b''.join(content for _, content in rows), '<f4').reshape(-1, self.width)
        return np.array([number for number, _ in rows], np.int64), vectors

    def _hits(self, ids: Sequence[int], scores: Sequence[float]) -> list[Hit]:
        found = {}
        for start in range(0, len(ids), NAMES_AT_ONCE):
            numbers = ', '.join(map(str, ids[start : start + NAMES_AT_ONCE]))
            for row in self._database.execute(
                f'SELECT id, {FIELDS}, vector, features FROM segments WHERE id IN ({numbers})'
            ):
                found[row[0]] = _to_row(row[1:])
        return [Hit(score, found[number]) for number, score in zip(ids, scores)]

    def _open_candidates(self, kind: str) -> CandidateIndex | None:
        """Open the candidates; None if the file or FAISS is missing, which is only slower."""
        entry = self._one('SELECT file FROM candidates WHERE kind = ?', kind)
        if entry is None:
            return None
        if entry[0] not in self._candidates:
            try:
                self._candidates[entry[0]] = CandidateIndex(self.path.parent / entry[0])
            except (ImportError, RuntimeError) as error:
                print_log(f'searches are slow: {error}', logger='current', level=logging.WARNING)
                self._candidates[entry[0]] = None
        return self._candidates[entry[0]]

    def _write_candidates(self, kind: str, count: int, last: int) -> None:
        """Write a new file of candidates, then use it, then delete the former."""
        try:
            import_faiss()
        except ImportError as error:
            print_log(f'searches will be slow: {error}', logger='current', level=logging.WARNING)
            return
        name = f'{kind}-{uuid4().hex[:8]}.faiss'
        path = self.path.parent / name
        step = max(1, count // num_samples(count))
        samples = self._fetch(f'{kind} AND id % ? = 0', step)[1]
        CandidateIndex.build(path, self.width, count, samples, self._batches(kind, last))
        with self._database:
            self._database.execute(
                'INSERT OR REPLACE INTO candidates VALUES (?, ?, ?, ?)', (kind, name, last, count)
            )
        for old in self.path.parent.glob(f'{kind}-*.faiss'):
            if old.name != name:
                with suppress(OSError):
                    os.remove(old)

    def _batches(self, kind: str, last: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        begin = 0
        while True:
            ids, vectors = self._fetch(
                f'{kind} AND id > ? AND id <= ? ORDER BY id LIMIT {ROWS_AT_ONCE}', begin, last
            )
            if not len(ids):
                return
            yield ids, vectors
            begin = int(ids[-1])


def _to_row(row: Sequence) -> SegmentRow:
    filename, number, start, end, duration, whole, moment, content, features = row
    vector = np.frombuffer(content, '<f4').copy()
    return SegmentRow(filename, number, start, end, duration, bool(whole), bool(moment), vector, features)
