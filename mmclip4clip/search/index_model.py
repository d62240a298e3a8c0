"""What an index needs of a model."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .index_settings import ModelIdentity
from .queries import Query
from .segments import Segmenter
from .stores import SegmentRow

if TYPE_CHECKING:
    from ..models.features import Features


class IndexedFile(NamedTuple):
    """A file as a model encoded it for an index.

    Args:
        filename (str): Absolute path, or URL.
        duration (float): In seconds.
        segments (list[tuple]): Start and end of each segment in seconds; (None, None) is the whole video.
        vectors (np.ndarray): Of unit length, one per segment, (S, D).
        features (list[bytes]): What the head compares exactly, one per segment; empty without such.
        content (str): Digest of the file, '' if it cannot be read.
        unreadable (str, optional): Why it cannot be read.
        retry (bool): Whether that may pass by itself.
        missing_frames (int): Number of frames at the end that cannot be decoded.

    Examples:
        >>> IndexedFile('/v.mp4', 0.0, [], np.zeros((0, 4)), [], '', 'it is a text').unreadable
        'it is a text'
    """

    filename: str
    duration: float
    segments: list[tuple[float | None, float | None]]
    vectors: np.ndarray
    features: list[bytes]
    content: str
    unreadable: str | None = None
    retry: bool = False
    missing_frames: int = 0

    def rows(self) -> list[SegmentRow]:
        """Return the segments as rows of a store."""
        divided, rows = len(self.segments) > 1, []
        for number, (start, end) in enumerate(self.segments):
            whole = start is None and end is None
            rows.append(
                SegmentRow(
                    self.filename,
                    number,
                    0.0 if start is None else start,
                    self.duration if end is None else end,
                    self.duration,
                    whole,
                    not (whole and divided),
                    self.vectors[number],
                    self.features[number] if self.features else b'',
                )
            )
        return rows


class EncodedQuery(NamedTuple):
    """A query as a model encoded it.

    Args:
        vector (np.ndarray): Of unit length, (D,).
        weights (list[float]): Of the terms, the largest 1 or -1.
        texts (dict[str, Tensor] | None): Features of the terms that the head compares with stored features;
            None if the cosine of the vector is the score.

    Examples:
        >>> EncodedQuery(np.ones(1), [1.0]).texts is None
        True
    """

    vector: np.ndarray
    weights: list[float]
    texts: 'Features | None' = None


class IndexModel(Protocol):
    """What an index needs of a model."""

    @property
    def identity(self) -> ModelIdentity:
        """What determines the vectors."""

    @property
    def features(self) -> dict[str, Any] | None:
        """Layout of the features that the head compares; None if the cosine is its score."""

    @property
    def file_stamp(self) -> list[int] | None:
        """Sizes and times of the files of the model; None if it has none."""

    def encode_files(
        self, files: Sequence[str], plan: Segmenter, digest: Callable[[str], str], num_workers: int
    ) -> Iterator[IndexedFile]:
        """Encode the segments of files; those that cannot be read have a reason."""

    def encode_query(self, query: Query) -> EncodedQuery:
        """Encode the terms of a query, each once."""

    def rerank(self, query: EncodedQuery, features: Sequence[bytes]) -> np.ndarray:
        """Return the head's score of a query with ``texts`` and stored features, (S,)."""
