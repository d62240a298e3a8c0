"""A model that was exported to ONNX, as an index uses it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..export.padded_arrays import Arrays, cat_arrays
from ..export.part_names import VECTOR
from ..search.index_model import EncodedQuery
from ..search.index_settings import ModelIdentity
from ..search.segments import Segmenter
from ..search.stored_features import pack_features, unpack_arrays
from .decoding_processes import run_in_processes
from .index_encoder import IndexEncoder
from .onnx_model import OnnxVideoTextModel
from .segment_parts import EncodedFile, PreparedSegments, encode_parts_of_files, read_parts

VIDEOS_AT_ONCE = 256  # whose stored features are read at once, which bounds memory


class OnnxSearchModel(IndexEncoder):
    """Encodes the files and queries of an index with an :class:`OnnxVideoTextModel`.

    Args:
        model (OnnxVideoTextModel): The model.
        file_stamp (list[int], optional): Of its files, see :func:`stamp_model`.

    Examples:
        >>> import mmclip4clip
        >>> model = OnnxSearchModel(mmclip4clip.load('onnx'))  # doctest: +SKIP
        >>> model.identity.adapter  # doctest: +SKIP
        'MeanAdapter'
    """

    explains = False

    def __init__(self, model: OnnxVideoTextModel, file_stamp: list[int] | None = None) -> None:
        self.model, self.file_stamp = model, file_stamp
        self.scoring = model.settings.scoring

    @property
    def features(self) -> dict[str, Any] | None:
        """Layout of the features that the head compares, as plain data; None if the cosine is its score."""
        return None if self.scoring is None else self.scoring.layout.as_json()

    @property
    def identity(self) -> ModelIdentity:
        """That of the torch model, by the name of the exported folder."""
        return replace(self.model.settings.identity, name=str(Path(self.model.name).expanduser().resolve()))

    def encode_parts(
        self, files: Sequence[str], plan: Segmenter, digest: Callable[[str], str], num_workers: int
    ) -> Iterator[EncodedFile]:
        """Encode the segments of files as they are decoded."""
        prepare = self.model.frames.prepare_segments if files else None

        def read(names: Sequence[str]) -> Iterator[Any]:
            return read_parts(names, self._prepare(prepare), plan, digest)

        parts = run_in_processes(read, files, num_workers)
        return encode_parts_of_files(parts, self._encode_segments, cat_arrays)

    def encode_texts(self, texts: list[str]) -> Arrays:
        """Encode texts; see :meth:`OnnxVideoTextModel.text_features`."""
        return self.model.text_features(texts)

    def encode_media(self, media: list[Any]) -> Arrays:
        """Encode images and videos; see :meth:`OnnxVideoTextModel.video_features`."""
        return self.model.video_features(media)

    def text_vectors(self, features: Arrays) -> np.ndarray:
        """Return the vectors of texts, (N, D)."""
        return features['text' if self.scoring is None else VECTOR]

    def video_vectors(self, features: Arrays) -> np.ndarray:
        """Return the vectors of videos, (V, D)."""
        return features['video' if self.scoring is None else VECTOR]

    def store_features(self, features: Arrays) -> list[bytes]:
        """Return the features that the head compares, as bytes of each segment."""
        if self.scoring is None:
            return []
        layout = self.scoring.layout
        return pack_features(layout, {name: features[name] for name in layout.parts})

    def rerank(self, query: EncodedQuery, features: Sequence[bytes]) -> np.ndarray:
        """Return the weighted sum of the head's scores of the texts with stored features, (S,).

        Raises:
            ValueError: If the cosine is the score, stored features are damaged, or a score is not finite.
        """
        if self.scoring is None or query.texts is None:
            raise ValueError('the cosine is the score of this query: there is nothing to compare exactly')
        texts, weights = cast(Arrays, query.texts), np.array(query.weights, np.float32)
        scores = [np.zeros(0, np.float32)]
        for start in range(0, len(features), VIDEOS_AT_ONCE):
            videos = unpack_arrays(self.scoring.layout, features[start : start + VIDEOS_AT_ONCE])
            scores.append(weights @ self.model.encoder.score(texts, videos))
        joined = np.concatenate(scores)
        if not np.isfinite(joined).all():
            raise ValueError(f'{int((~np.isfinite(joined)).sum())} scores are NaN or infinite')
        return joined

    def _encode_segments(self, prepared: PreparedSegments) -> Arrays:
        return self.model.encoder.encode_segments(prepared.packed, prepared.positions)

    @staticmethod
    def _prepare(prepare: Any) -> Callable[[dict, Callable], Iterator[PreparedSegments]]:
        def chunks(item: dict, plan: Callable) -> Iterator[PreparedSegments]:
            for chunk in prepare(item, plan):
                yield PreparedSegments(chunk.results['imgs'], *chunk[1:])

        return chunks
