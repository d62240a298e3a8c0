"""Embedded vector stores behind one small interface, for ``compare_vector_stores.py``.

Each is opened with a folder and the width of its vectors. ``add(first, vectors)`` gives them numbers from
``first``, ``optimize()`` prepares for searches, ``len()`` counts, and ``search(query, top, setting)`` returns
numbers of vectors. Imports are those of the library alone.
"""

# ruff: noqa: D102

from pathlib import Path

import numpy as np


class LanceDB:
    """LanceDB, ``pip install lancedb``: IVF_RQ (settings: probes and exact comparisons per answer)."""

    settings = ((20, 20), (40, 40), (80, 40))

    def __init__(self, folder: Path, width: int) -> None:
        import lancedb
        import pyarrow as pa

        self.pa, self.width, database = pa, width, lancedb.connect(folder)
        schema = pa.schema([('id', pa.int64()), ('vector', pa.list_(pa.float32(), width))])
        names = database.list_tables().tables
        self.table = database.open_table('t') if 't' in names else database.create_table('t', schema=schema)

    def add(self, first: int, vectors: np.ndarray) -> None:
        array = self.pa.FixedSizeListArray.from_arrays(self.pa.array(vectors.reshape(-1)), self.width)
        ids = self.pa.array(np.arange(first, first + len(vectors)))
        self.table.add(self.pa.table([ids, array], names=['id', 'vector']))

    def optimize(self) -> None:
        from lancedb.index import IvfRq

        self.table.create_index('vector', config=IvfRq(distance_type='cosine', num_bits=4))
        self.table.optimize()

    def __len__(self) -> int:
        return self.table.count_rows()

    def search(self, query: np.ndarray, top: int, setting: tuple[int, int]) -> list[int]:
        search = self.table.search(query).distance_type('cosine').nprobes(setting[0])
        search = search.refine_factor(setting[1]).select(['id', '_distance']).limit(top)
        return search.to_arrow()['id'].to_pylist()


class QdrantEdge:
    """Qdrant Edge, ``pip install qdrant-edge-py``: HNSW over 8 bits in memory (settings: ef)."""

    settings = (64, 128, 256)

    def __init__(self, folder: Path, width: int) -> None:
        import qdrant_edge as qdrant

        self.qdrant = qdrant
        quantization = qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8, always_ram=True)
        vectors = qdrant.EdgeVectorParams(
            width,
            qdrant.Distance.Cosine,
            on_disk=True,
            quantization_config=quantization,
            hnsw_config=qdrant.HnswIndexConfig(16, 100, 10_000),
        )
        if (folder / 'edge_config.json').exists():
            self.shard = qdrant.EdgeShard.load(str(folder))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self.shard = qdrant.EdgeShard.create(str(folder), qdrant.EdgeConfig({'': vectors}))

    def add(self, first: int, vectors: np.ndarray) -> None:
        points = [self.qdrant.Point(n, vector.tolist(), {}) for n, vector in enumerate(vectors, first)]
        self.shard.update(self.qdrant.UpdateOperation.upsert_points(points))
        self.shard.flush()

    def optimize(self) -> None:
        self.shard.optimize()

    def __len__(self) -> int:
        return self.shard.count(self.qdrant.CountRequest(exact=True))

    def search(self, query: np.ndarray, top: int, setting: int) -> list[int]:
        rescored = self.qdrant.QuantizationSearchParams(rescore=True, oversampling=3.0)
        parameters = self.qdrant.SearchParams(hnsw_ef=setting, quantization=rescored)
        nearest = self.qdrant.Query.Nearest(query.tolist())
        request = self.qdrant.QueryRequest(limit=top, query=nearest, params=parameters)
        return [point.id for point in self.shard.query(request)]


class MilvusLite:
    """milvus-lite, ``pip install 'pymilvus[milvus_lite]'``: the index that it chooses (no settings)."""

    settings = (None,)

    def __init__(self, folder: Path, width: int) -> None:
        from pymilvus import MilvusClient

        folder.mkdir(parents=True, exist_ok=True)
        self.client = MilvusClient(str(folder / 'milvus.db'))
        if not self.client.has_collection('t'):
            self.client.create_collection('t', dimension=width, metric_type='COSINE')
        self.client.load_collection('t')

    def add(self, first: int, vectors: np.ndarray) -> None:
        for start in range(0, len(vectors), 2000):  # larger messages are refused
            rows = enumerate(vectors[start : start + 2000], first + start)
            self.client.insert('t', [dict(id=n, vector=vector) for n, vector in rows])

    def optimize(self) -> None:
        self.client.flush('t')

    def __len__(self) -> int:
        return self.client.query('t', '', output_fields=['count(*)'])[0]['count(*)']

    def search(self, query: np.ndarray, top: int, setting: None) -> list[int]:
        return [hit['id'] for hit in self.client.search('t', [query.tolist()], limit=top)[0]]


class USearch:
    """USearch, ``pip install usearch``: HNSW over 16 bits in one file without rows (settings: expansion)."""

    settings = (64, 128, 256)

    def __init__(self, folder: Path, width: int) -> None:
        from usearch.index import Index

        self.index, self.file = Index(ndim=width, metric='cos', dtype='f16'), folder / 'usearch.index'
        folder.mkdir(parents=True, exist_ok=True)
        if self.file.exists():
            self.index.view(self.file)

    def add(self, first: int, vectors: np.ndarray) -> None:
        self.index.add(np.arange(first, first + len(vectors)), vectors)

    def optimize(self) -> None:
        self.index.save(self.file)

    def __len__(self) -> int:
        return len(self.index)

    def search(self, query: np.ndarray, top: int, setting: int) -> list[int]:
        self.index.expansion_search = setting
        return self.index.search(query, top).keys.tolist()


class Package:
    """The default store of mmclip4clip: SQLite, and FAISS IVF-SQ8 (settings: vectors compared)."""

    settings = (16_000, 32_000, 64_000)

    def __init__(self, folder: Path, width: int) -> None:
        from mmclip4clip.search.stores import SegmentRow, candidate_index, open_store

        folder.mkdir(parents=True, exist_ok=True)
        self.row, self.candidates, self.store = SegmentRow, candidate_index, open_store(None, folder, width)

    def add(self, first: int, vectors: np.ndarray) -> None:
        self.store.add(
            [
                self.row(f'/{n // 10000}/{n}.mp4', n, 0.0, 10.0, 10.0, False, True, vector)
                for n, vector in enumerate(vectors, first)
            ]
        )

    def optimize(self) -> None:
        self.store.optimize()

    def __len__(self) -> int:
        return len(self.store)

    def search(self, query: np.ndarray, top: int, setting: int) -> list[int]:
        self.candidates.COMPARED = setting
        return [hit.row.number for hit in self.store.search(query, top, False)]


LIBRARIES = dict(lancedb=LanceDB, qdrant=QdrantEdge, milvus=MilvusLite, usearch=USearch, mmclip4clip=Package)
