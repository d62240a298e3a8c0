"""Scores of heads with an expensive pair score, which a large evaluation writes to a temporary file."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from typing import IO, Any
from weakref import WeakValueDictionary

import numpy as np
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from .functional.score_blocks import ComputedScores
from .score_rows import ScoreRows


class ScoreFile:
    """The scores of an evaluation, (N, V), in a temporary file of the main process.

    The file has no name, so that the system removes it with this object, also after a crash. Pickled in
    another process, as records are when they are collected, the object becomes that of the main process
    again.

    Args:
        shape (tuple[int, int]): Number of captions and of videos.
        file (IO, optional): The open file; None in other processes.
        key (str, optional): What identifies the object in its process; by default a new one.

    Examples:
        >>> scores = ScoreFile.create((2, 2))
        >>> scores.write(np.array([1, 0]), np.eye(2))
        >>> scores.rank_last(np.array([False, True]), -1)
        >>> scores.read(np.array([0, 1])).tolist()
        [[0.0, -1.0], [1.0, -1.0]]
    """

    def __init__(self, shape: tuple[int, int], file: IO | None = None, key: str | None = None) -> None:
        self.shape, self.file, self.key = shape, file, key or uuid.uuid4().hex
        self.unreadable, self.last = np.zeros(shape[1], bool), 0.0
        if file is not None:
            _FILES[self.key] = self

    @classmethod
    def create(cls, shape: tuple[int, int], folder: str | None = None) -> 'ScoreFile':
        """Create the file and reserve its space, 4 bytes for each score.

        Args:
            shape (tuple[int, int]): Number of captions and of videos.
            folder (str, optional): Folder with enough space; by default that of the system, ``$TMPDIR``.

        Raises:
            OSError: If the folder cannot be written, has too little space, or its files cannot be mapped.
        """
        folder, size = folder or tempfile.gettempdir(), 4 * shape[0] * shape[1]
        problem = (
            f'the scores of {shape[0]} captions and {shape[1]} videos need {size / 2**30:.2f} GiB in a '
            f'temporary file in {folder}'
        )
        free = shutil.disk_usage(folder).free
        if free < size:
            raise OSError(f'{problem}, which has {free / 2**30:.2f} GiB left')
        try:
            file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with this object
            if hasattr(os, 'posix_fallocate'):  # also a quota is an error here, and not while scores come in
                os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(size)
            np.memmap(file, np.float32, 'r+', shape=shape)  # not every file system of a network maps files
        except OSError as error:
            raise OSError(f'{problem}, which failed: {error}') from error
        return cls(shape, file)

    def write(self, rows: np.ndarray, scores: np.ndarray) -> None:
        """Write the scores (n, V) of captions ``rows``, (n,)."""
        # Mapped for each call, so that what was touched is not counted as memory of this process.
        np.memmap(self._opened(), np.float32, 'r+', shape=self.shape)[rows] = scores

    def rank_last(self, unreadable: np.ndarray, last: float) -> None:
        """Replace the scores of unreadable videos, True in ``unreadable`` (V,), by ``last``."""
        self.unreadable, self.last = unreadable, last

    def read(self, rows: Any) -> np.ndarray:
        """Return the scores of captions by their numbers, (n, V)."""
        scores = np.array(np.memmap(self._opened(), np.float32, 'r', shape=self.shape)[rows])
        scores[..., self.unreadable] = self.last
        return scores

    def _opened(self) -> IO:
        if self.file is None:
            raise RuntimeError(
                'the scores of this evaluation are in a temporary file of its main process: metrics read '
                'them in compute_metrics(), which runs there, and RetrievalDump writes a file that stays'
            )
        return self.file

    def __reduce__(self) -> tuple:
        return _find_file, (self.key, self.shape)


_FILES: WeakValueDictionary[str, ScoreFile] = WeakValueDictionary()  # those that this process has opened


def _find_file(key: str, shape: tuple[int, int]) -> ScoreFile:
    return _FILES.get(key) or ScoreFile(shape, key=key)


def share_score_file(shape: tuple[int, int], folder: str | None = None) -> ScoreFile:
    """Create the file in the main process, and return an object for it in every process.

    Raises:
        OSError: In every process, see :meth:`ScoreFile.create`.
    """
    file, said = None, ['', '']
    if is_main_process():
        try:
            file = ScoreFile.create(shape, folder)
            size, where = 4 * shape[0] * shape[1] / 2**30, folder or tempfile.gettempdir()
            print_log(f'{size:.2f} GiB of scores go to a temporary file in {where}', logger='current')
            said[0] = file.key
        except OSError as error:
            said[1] = str(error)
    broadcast_object_list(said)
    key, problem = said
    if problem:
        raise OSError(problem)
    return file or ScoreFile(shape, key=key)


class StoredRows(ScoreRows):
    """The scores of the captions of one video with all videos, (N_i, V), in a temporary file.

    Args:
        file (ScoreFile): Scores of all captions.
        first (int): Number of the first caption in the file.
        count (int): Number of captions.

    Examples:
        >>> rows = StoredRows(ScoreFile.create((3, 2)), first=1, count=2)
        >>> rows[0].tolist()
        [0.0, 0.0]
    """

    def __init__(self, file: ScoreFile, first: int, count: int) -> None:
        self.file, self.first, self.count = file, first, count

    @property
    def shape(self) -> tuple[int, int]:
        """Number of captions and of videos."""
        return self.count, self.file.shape[1]

    def read(self) -> np.ndarray:
        """Read the scores, float32, (N_i, V)."""
        return self.file.read(slice(self.first, self.first + self.count))

    @staticmethod
    def stack(rows: Sequence['StoredRows']) -> ComputedScores:
        """Stack the scores of all videos to a matrix that is read a block of captions at a time, (N, V)."""
        file = rows[0].file
        numbers = np.concatenate([np.arange(part.first, part.first + part.count) for part in rows])
        return ComputedScores(
            lambda index: file.read(numbers[index]), (len(numbers), file.shape[1]), np.dtype(np.float32)
        )
