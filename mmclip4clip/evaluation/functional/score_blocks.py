"""Matrices of scores that are read a block of rows at a time."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

BLOCK = 2**17  # scores in a block, 1 MiB in float64: what fits a core's cache


class ScoreMatrix(Protocol):
    """Scores of captions and videos, (N, V): an array, or :class:`ComputedScores`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of captions and of videos."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the scores."""

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return rows, by a slice or an array of indices."""


class ComputedScores:
    """Scores whose rows are computed whenever they are read, so that the matrix never exists.

    They must be finite, because they are not checked again.

    Args:
        compute (Callable): Returns rows, given a slice or an array of indices.
        shape (tuple[int, int]): Number of captions and of videos.
        dtype (np.dtype): Type of the scores.

    Examples:
        >>> scores = ComputedScores(lambda rows: 2 * np.eye(3)[rows], (3, 3), np.dtype(float))
        >>> scores[1:2]
        array([[0., 2., 0.]])
        >>> float(np.asarray(scores).sum())
        6.0
    """

    def __init__(self, compute: Callable[[Any], np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.compute, self.shape, self.dtype, self.ndim = compute, shape, dtype, 2

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.compute(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = np.empty(self.shape, dtype or self.dtype)
        for rows in row_blocks(self.shape):
            whole[rows] = self.compute(rows)
        return whole


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of rows of about :data:`BLOCK` scores, at least one row each.

    Examples:
        >>> [rows.stop - rows.start for rows in row_blocks((3, 2**16))]
        [2, 1]
    """
    rows = max(1, BLOCK // max(1, shape[1]))
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


def count_not_finite(scores: ScoreMatrix) -> int:
    """Count the scores of an array that are NaN or infinite."""
    if isinstance(scores, ComputedScores):
        return 0
    return sum(int(np.count_nonzero(~np.isfinite(scores[rows]))) for rows in row_blocks(scores.shape))
