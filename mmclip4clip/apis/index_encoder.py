"""A model as an index uses it, whatever computes its features."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..datasets.video_readers.errors import VideoReadError
from ..logs import print_log
from ..search.changes import stamp_of
from ..search.index_model import EncodedQuery, IndexedFile
from ..search.index_settings import ModelIdentity
from ..search.queries import Query, Term
from ..search.segments import Segmenter
from .segment_parts import EncodedFile


class IndexEncoder(ABC):
    """Encodes the files and queries of an index; a subclass computes the features.

    Attributes:
        file_stamp (list[int] | None): Of the files of the model, see :func:`stamp_model`.
        explains (bool): Whether the model has what tells why it found a video.
    """

    file_stamp: list[int] | None = None
    explains: bool = True

    @property
    @abstractmethod
    def identity(self) -> ModelIdentity:
        """What determines the vectors."""

    @property
    def features(self) -> dict[str, Any] | None:
        """Layout of the features that the head compares, as plain data; None if the cosine is its score."""
        return None

    @abstractmethod
    def encode_parts(
        self, files: Sequence[str], plan: Segmenter, digest: Callable[[str], str], num_workers: int
    ) -> Iterator[EncodedFile]:
        """Encode the segments of files, each file with its digest as the note."""

    @abstractmethod
    def encode_texts(self, texts: list[str]) -> Any:
        """Return the features of texts."""

    @abstractmethod
    def encode_media(self, media: list[Any]) -> Any:
        """Return the features of videos in one of the forms of :func:`read_videos`."""

    @abstractmethod
    def text_vectors(self, features: Any) -> np.ndarray:
        """Return the unit vectors of texts to search with, (N, D)."""

    @abstractmethod
    def video_vectors(self, features: Any) -> np.ndarray:
        """Return the unit vectors of videos or segments, (S, D)."""

    @abstractmethod
    def rerank(self, query: EncodedQuery, features: Sequence[bytes]) -> np.ndarray:
        """Return the weighted sum of the head's scores of the texts with stored features, (S,)."""

    def store_features(self, features: Any) -> list[bytes]:
        """Return what the head compares exactly, of each segment; nothing if the cosine is its score."""
        return []

    def encode_files(
        self, files: Sequence[str], plan: Segmenter, digest: Callable[[str], str], num_workers: int
    ) -> Iterator[IndexedFile]:
        """Encode the segments of files; those that cannot be read have a reason."""
        for file in self.encode_parts(files, plan, digest, num_workers):
            indexed = self._index_file(file)._replace(missing_frames=file.missing_frames)
            warn_of_missing_frames(indexed)
            yield indexed

    def encode_query(self, query: Query) -> EncodedQuery:
        """Encode the terms of a query; its vector is their normalized weighted sum.

        Images and videos are compared by their vectors only, so a query with one has no ``texts``.

        Raises:
            VideoReadError: If an image or a video cannot be read.
            ValueError: If there are no terms, a weight is 0 or not finite, or the terms cancel each other.
        """
        weights = np.array([term.weight for term in query], np.float64)
        if not weights.size or not np.isfinite(weights).all() or not weights.all():
            raise ValueError(
                f'a query needs terms, and each a finite weight that is not 0, got {weights.tolist()}'
            )
        weights /= np.abs(weights).max()  # so that no sum overflows
        texts = [term.value for term in query if term.kind == 'text']
        features = self.encode_texts(texts) if texts else {}
        of_texts = iter(self.text_vectors(features) if texts else ())
        vectors = [next(of_texts) if term.kind == 'text' else self._media_vector(term) for term in query]
        total = weights @ np.stack(vectors)
        length = float(np.linalg.norm(total))
        if not np.isfinite(length):
            raise ValueError('the model gives this query a vector of NaN or infinite numbers')
        if length < 1e-6:
            raise ValueError('the terms of the query cancel each other: there is nothing to search for')
        is_reranked = self.features is not None and len(texts) == len(query)
        vector = (total / length).astype(np.float32)
        return EncodedQuery(vector, weights.tolist(), features if is_reranked else None)

    def _index_file(self, file: EncodedFile) -> IndexedFile:
        """Turn features into vectors, and bytes for the head."""
        reason = file.unreadable
        if file.features is not None:
            vectors = self.video_vectors(file.features)
            try:
                stored = self.store_features(file.features)
            except ValueError as error:  # one video must not end the update of all
                reason = str(error)
            if not np.isfinite(vectors).all():
                reason = 'the model gives it vectors of NaN or infinite numbers'
        if reason is not None:
            nothing = np.zeros((0, self.identity.width), np.float32)
            return IndexedFile(file.filename, 0.0, [], nothing, [], file.note or '', reason, file.retry)
        return IndexedFile(file.filename, file.duration, file.segments, vectors, stored, file.note)

    def _media_vector(self, term: Term) -> np.ndarray:
        is_image = term.kind == 'image'
        media = read_image(term.value)[None] if is_image else (term.value, term.start, term.end)
        return self.video_vectors(self.encode_media([media]))[0]


def warn_of_missing_frames(file: IndexedFile) -> None:
    """Warn of a file that ends early."""
    if file.missing_frames:
        print_log(
            f'{file.filename} ends early: its last {file.missing_frames} frames cannot be decoded '
            'and are not indexed',
            logger='current',
            level=logging.WARNING,
        )


def read_image(path: str) -> np.ndarray:
    """Read an image file as RGB, (H, W, 3) uint8, upright as its EXIF data says.

    Raises:
        VideoReadError: If it cannot be read.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            # 16 bits, which convert() would cut off at 255; Pillow 10 reads them from PNG as mode I.
            if upright.mode.startswith('I;16') or (upright.mode == 'I' and image.format in ('PNG', 'PPM')):
                upright = Image.fromarray((np.asarray(upright) / 257).round().astype(np.uint8))
            return np.asarray(upright.convert('RGB'))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise VideoReadError(f'the query image {path} cannot be read: {error}') from error


def stamp_model(name: str) -> list[int] | None:
    """Return sizes and times of the checkpoint, or of the files of the folder; None if it is neither."""
    path = Path(name)
    if path.is_file():
        return list(stamp_of(str(path.resolve())))
    if not path.is_dir():
        return None
    return [value for file in sorted(path.iterdir()) if file.is_file() for value in stamp_of(str(file))]
