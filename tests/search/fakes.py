"""A store in memory and a model without weights, for tests of the index."""

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmclip4clip.search.index_model import EncodedQuery, IndexedFile
from mmclip4clip.search.index_settings import ModelIdentity
from mmclip4clip.search.stores import Hit, SegmentStore

WIDTH = 8


class MemoryStore(SegmentStore):
    """Compares all vectors."""

    def __init__(self) -> None:
        self.rows: dict = {}

    def add(self, rows):
        self.delete({row.filename for row in rows})
        self.rows.update({(row.filename, row.number): row for row in rows})

    def delete(self, filenames):
        self.rows = {key: row for key, row in self.rows.items() if key[0] not in set(filenames)}

    def get(self, filenames):
        return [self.rows[key] for key in sorted(self.rows) if key[0] in set(filenames)]

    def search(self, vector, top, whole, where):
        rows = [row for row in self.rows.values() if (row.whole if whole else row.moment)]
        rows = [row for row in rows if where.accepts(row.filename, row.duration)]
        hits = [Hit(float(row.vector @ vector), row) for row in rows]
        return sorted(hits, key=lambda hit: -hit.score)[:top]

    def __len__(self):
        return len(self.rows)


def vector_of(text: str) -> np.ndarray:
    """A unit vector that depends on a text only."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big'))
    vector = rng.normal(size=WIDTH)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class FakeModel:
    """Reads "videos" whose text is their duration and a word for each segment, such as ``20 dog cat``."""

    features = None
    file_stamp = None

    def __init__(self, fingerprint: str = 'ab') -> None:
        self.identity = ModelIdentity('fake.pth', 'MeanAdapter', WIDTH, fingerprint, 'one per second')
        self.encoded: list[str] = []
        self.before: Callable = lambda path: None

    def encode_files(self, files, plan, digest, num_workers):
        for path in files:
            self.before(path)
            self.encoded.append(path)
            content = Path(path).read_text().split()
            if content[0] == 'broken':
                yield IndexedFile(path, 0.0, [], np.zeros((0, WIDTH)), [], digest(path), 'it is broken')
                continue
            segments = plan(path, float(content[0]))
            words = [' '.join(content[1:]), *content[1:]][: len(segments)]
            vectors = np.stack([vector_of(word) for word in words])
            yield IndexedFile(path, float(content[0]), segments, vectors, [], digest(path))

    def encode_query(self, query):
        return EncodedQuery(vector_of(query[0].value), [1.0], None if self.features is None else {})

    def rerank(self, query, features):
        raise NotImplementedError


class MortalModel(FakeModel):
    """Its process is killed at a file with the word ``deadly``, once, or with ``fatal``, at each try."""

    def __init__(self, name: str = 'fake.pth') -> None:
        super().__init__()
        self.before = self._die

    @staticmethod
    def _die(path: str) -> None:
        words = Path(path).read_text().split()
        once = Path(f'{path}.died')
        if 'fatal' in words or ('deadly' in words and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
