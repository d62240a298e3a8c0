"""Interface of the stores of segments and their vectors."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..answers import EVERYTHING, Filter


class SegmentRow(NamedTuple):
    """A segment in a store.

    Args:
        filename (str): Absolute path of the file.
        number (int): Number of the segment in its file, from 0.
        start (float): In seconds.
        end (float): In seconds.
        duration (float): Of the file in seconds.
        whole (bool): Whether it is the whole video.
        moment (bool): Whether it is a moment: a part of a video, or a whole video that has no parts.
        vector (np.ndarray): Of unit length, (D,) float32.
        features (bytes): What the head compares exactly, empty if the vector is all.

    Examples:
        >>> row = SegmentRow('/v.mp4', 0, 0.0, 4.0, 4.0, True, True, np.ones(1, np.float32), b'')
        >>> len(row.id)
        36
    """

    filename: str
    number: int
    start: float
    end: float
    duration: float
    whole: bool
    moment: bool
    vector: np.ndarray
    features: bytes = b''

    @property
    def id(self) -> str:
        """An identifier of 36 characters, the same whenever the segment is indexed."""
        return segment_id(self.filename, self.number)


class Hit(NamedTuple):
    """A segment that a search found.

    Args:
        score (float): Cosine of its vector and the query.
        row (SegmentRow): The segment; its vector may be left out, (0,).

    Examples:
        >>> row = SegmentRow('/v.mp4', 0, 0.0, 4.0, 4.0, True, True, np.ones(1, np.float32), b'')
        >>> Hit(0.3, row).row.end
        4.0
    """

    score: float
    row: SegmentRow


class StoreError(RuntimeError):
    """Raised if a store cannot be reached or used; nothing that was confirmed is lost."""


class SegmentStore(ABC):
    """Keeps segments with their vectors, and finds those nearest to a vector.

    A row that :meth:`add` has returned for survives the end of the process. All methods raise
    :class:`StoreError`, with the address of the store, if it fails.
    """

    @abstractmethod
    def add(self, rows: Sequence[SegmentRow]) -> None:
        """Add segments; they replace all segments of their files."""

    @abstractmethod
    def delete(self, filenames: Sequence[str]) -> None:
        """Delete the segments of files; unknown ones are ignored."""

    @abstractmethod
    def get(self, filenames: Sequence[str]) -> list[SegmentRow]:
        """Return the segments of files, sorted by file and number; unknown files have none."""

    @abstractmethod
    def search(self, vector: np.ndarray, top: int, whole: bool, where: Filter = EVERYTHING) -> list[Hit]:
        """Find the segments with the highest cosine.

        Args:
            vector (np.ndarray): Of unit length, (D,) float32.
            top (int): Number of segments; fewer are returned only if there are fewer.
            whole (bool): Whether to search whole videos, otherwise moments.
            where (Filter): Limits the files.

        Returns:
            list[Hit]: Best first.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of segments."""

    def optimize(self) -> None:  # noqa: B027
        """Prepare for fast searches, after many changes; may take minutes. Does nothing by default."""

    def close(self) -> None:  # noqa: B027
        """Close the store."""


def segment_id(filename: str, number: int) -> str:
    """Identify a segment by a digest of its file's path and its number, 36 characters.

    Examples:
        >>> segment_id('/v.mp4', 3)[-4:]
        '0003'
    """
    return f'{hashlib.blake2b(filename.encode(), digest_size=14).hexdigest()}{number:08d}'


def check_vector(row: SegmentRow, width: int) -> None:
    """Check the vector of a segment.

    Raises:
        ValueError: If it has another width, or numbers that are not finite.
    """
    if row.vector.shape != (width,) or not np.isfinite(row.vector).all():
        raise ValueError(
            f'{row.filename}: expected a vector of {width} finite numbers, got shape {row.vector.shape}'
        )


def without_password(url: str) -> str:
    """Return an address without its password, for messages.

    Examples:
        >>> without_password('postgresql://me:secret@server/videos#films')
        'postgresql://me@server/videos#films'
    """
    return re.sub(r'(//[^:/@]*):[^@/]*@', r'\1@', url)
