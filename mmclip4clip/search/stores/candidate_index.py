"""Approximate neighbors of a vector among very many, by an inverted file of FAISS."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES_PER_LIST = 50  # vectors for k-means per cluster; FAISS recommends 39 to 256
COMPARED = 32_000  # vectors that a search compares, about: docs/search.md has recall and times
MISSING = "very large indexes need FAISS to be searched fast: pip install 'mmclip4clip[search]'"


class CandidateIndex:
    """Vectors in clusters, in 8 bits per number (IVF-SQ8). A search compares those of the nearest clusters.

    The file is mapped into memory, not read, so opening it takes no time.

    Args:
        path (Path): A file that :meth:`build` wrote.

    Raises:
        ImportError: If FAISS is not installed.
        RuntimeError: If the file is damaged or missing.

    Examples:
        >>> import tempfile
        >>> vectors = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
        >>> vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'vectors.faiss')
        ...     CandidateIndex.build(path, 8, 5000, vectors, [(np.arange(5000), vectors)])
        ...     found = CandidateIndex(path).search(vectors[7], top=3)
        >>> int(found[0])
        7
    """

    def __init__(self, path: Path) -> None:
        faiss = import_faiss()
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        # By default, 32 new threads read ahead for each search, which takes longer than the search.
        faiss.downcast_InvertedLists(self._index.invlists).prefetch_nthread = 0

    @staticmethod
    def build(
        path: Path,
        width: int,
        count: int,
        samples: np.ndarray,
        batches: Iterable[tuple[np.ndarray, np.ndarray]],
    ) -> None:
        """Write the file.

        Args:
            path (Path): New file.
            width (int): Width D of the vectors.
            count (int): Number of vectors, about.
            samples (np.ndarray): Some of the vectors to find clusters with, see :func:`num_samples`, (S, D).
            batches (Iterable): Ids (n,) and vectors (n, D) of float32, until all are given.
        """
        faiss = import_faiss()
        quantizer = faiss.IndexFlatIP(width)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, width, num_lists(count), faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.train(np.ascontiguousarray(samples, np.float32))
        for ids, vectors in batches:
            index.add_with_ids(np.ascontiguousarray(vectors, np.float32), ids.astype(np.int64))
        faiss.write_index(index, str(path))

    def search(self, vector: np.ndarray, top: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """Find vectors that probably have the highest products with a vector.

        Args:
            vector (np.ndarray): (D,) float32.
            top (int): Number of vectors.
            allowed (np.ndarray, optional): Ids to search, (M,).

        Returns:
            np.ndarray: Ids, best first, at most ``top``.
        """
        faiss = import_faiss()
        lists, count = self._index.nlist, self._index.ntotal
        options: dict[str, Any] = dict(nprobe=min(lists, max(1, round(COMPARED * lists / count))))
        if allowed is not None:
            options['sel'] = faiss.IDSelectorBatch(allowed.astype(np.int64))
        found = self._index.search(vector[None], top, params=faiss.SearchParametersIVF(**options))[1][0]
        return found[found >= 0]


def num_lists(count: int) -> int:
    """Return the number of clusters for a number of vectors.

    Examples:
        >>> num_lists(1_000_000)
        4000
    """
    return max(1, min(int(4 * count**0.5), count // SAMPLES_PER_LIST))


def num_samples(count: int) -> int:
    """Return the number of vectors to find the clusters with."""
    return min(count, SAMPLES_PER_LIST * num_lists(count))


def import_faiss() -> Any:
    """Import FAISS.

    Raises:
        ImportError: If it is not installed; says what to install.
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(MISSING) from error
    return faiss
