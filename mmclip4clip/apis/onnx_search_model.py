"""A model that was exported to ONNX, as an index uses it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..search.index_model import EncodedQuery
from ..search.index_settings import ModelIdentity
from ..search.segments import Segmenter
from .decoding_processes import run_in_processes
from .index_encoder import IndexEncoder
from .onnx_model import OnnxVideoTextModel
from .segment_parts import EncodedFile, PreparedSegments, encode_parts_of_files, read_parts


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
        return encode_parts_of_files(parts, self._encode_segments, np.concatenate)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Encode texts, (N, D)."""
        return self.model.encode_text(texts)

    def encode_media(self, media: list[Any]) -> np.ndarray:
        """Encode images and videos, (V, D)."""
        return self.model.encode_videos(media)

    def text_vectors(self, features: np.ndarray) -> np.ndarray:
        """Return the vectors of texts, which are their features."""
        return features

    def video_vectors(self, features: np.ndarray) -> np.ndarray:
        """Return the vectors of videos, which are their features."""
        return features

    def rerank(self, query: EncodedQuery, features: Sequence[bytes]) -> np.ndarray:
        """Raise an error, because the cosine is the score.

        Raises:
            ValueError: Always.
        """
        raise ValueError('the cosine is the score of this query: there is nothing to compare exactly')

    def _encode_segments(self, prepared: PreparedSegments) -> np.ndarray:
        return self.model.encoder.encode_segments(prepared.packed, prepared.positions)

    @staticmethod
    def _prepare(prepare: Any) -> Callable[[dict, Callable], Iterator[PreparedSegments]]:
        def chunks(item: dict, plan: Callable) -> Iterator[PreparedSegments]:
            for chunk in prepare(item, plan):
                yield PreparedSegments(chunk.results['imgs'], *chunk[1:])

        return chunks
