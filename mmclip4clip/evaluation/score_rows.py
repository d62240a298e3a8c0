"""Scores of the captions of one video that a large evaluation does not keep in memory."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from .functional.score_blocks import ComputedScores

KEPT = 2**24  # scores of an evaluation that are kept in memory, 64 MiB


class ScoreRows(ABC):
    """The scores of the captions of one video with all videos, (N_i, V), as an array that is not in memory.

    ``numpy.asarray`` computes or reads them.

    Examples:
        >>> from mmclip4clip.evaluation.score_file import ScoreFile, StoredRows
        >>> file = ScoreFile.create((3, 2))
        >>> file.write(np.arange(3), np.arange(6).reshape(3, 2))
        >>> rows = StoredRows(file, first=1, count=2)
        >>> rows.shape, np.asarray(rows).tolist()
        ((2, 2), [[2.0, 3.0], [4.0, 5.0]])
    """

    ndim = 2

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Number of captions and of videos."""

    @abstractmethod
    def read(self) -> np.ndarray:
        """Return the scores, float32, (N_i, V)."""

    @staticmethod
    @abstractmethod
    def stack(rows: Sequence[Any]) -> ComputedScores:
        """Stack the scores of all videos to a matrix that is read a block of captions at a time, (N, V)."""

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.read().astype(dtype or np.float32, copy=False)

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self)[index]
