"""A model as an index uses it."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.logging import print_log
from PIL import Image, ImageOps
from torch import nn

from ..datasets.pipeline_description import describe_pipeline
from ..datasets.video_readers import VideoReadError
from ..models.features import Features, move_features
from ..search import FeatureLayout, Term, pack_features, score_stored, text_vectors, video_vectors
from ..search.changes import stamp_of
from ..search.index_model import EncodedQuery, IndexedFile
from ..search.index_settings import ModelIdentity
from ..search.queries import Query
from ..search.segments import Segmenter
from .feature_arrays import to_features
from .frame_pipeline import FramePipeline
from .segment_encoder import EncodedFile, SegmentParts, encode_parts
from .video_text_model import VideoTextModel


class SearchModel:
    """Encodes the files and queries of an index with a :class:`VideoTextModel`.

    Args:
        model (VideoTextModel): The model.
        fingerprint (str, optional): Digest of the weights, if it is known.
        file_stamp (list[int], optional): Of the files that the weights are from, see :func:`stamp_model`.

    Raises:
        TypeError: If its adapter has no vector per video, not even a cheap one.

    Examples:
        >>> import mmclip4clip
        >>> model = SearchModel(mmclip4clip.load('epoch_5.pth'))  # doctest: +SKIP
        >>> model.identity.adapter  # doctest: +SKIP
        'MeanAdapter'
    """

    def __init__(
        self,
        model: VideoTextModel,
        fingerprint: str | None = None,
        file_stamp: list[int] | None = None,
    ) -> None:
        self.model, self.pipeline = model, cast(FramePipeline, model.prepare)
        self.file_stamp, self._fingerprint = file_stamp, fingerprint
        self.adapter = model.model.adapter
        self.layout = None if model.scores_by_cosine else FeatureLayout.of_model(model.model)
        self.encode_query([Term(1.0, 'text', 'a video')])  # an adapter without vectors is refused here

    @property
    def features(self) -> dict[str, Any] | None:
        """Layout of the features that the head compares, as plain data; None if the cosine is its score."""
        return None if self.layout is None else self.layout.as_json()

    @cached_property
    def identity(self) -> ModelIdentity:
        """What determines the vectors."""
        transforms = list(self.pipeline.transforms.transforms)
        described = describe_pipeline(None, transforms)
        processor = self.model.model.data_preprocessor
        frames = {key: described[key] for key in ('sampling', 'frames', 'size')}
        for key in ('mean', 'std'):
            frames[key] = [round(value, 4) for value in getattr(processor, key).flatten().tolist()]
        width = self.model.model.backbone.width
        name = type(self.adapter).__name__
        weights = self._fingerprint or digest_weights(self.model.model)
        source = str(self._path.resolve()) if self._path.exists() else self.model.name
        return ModelIdentity(source, name, width, weights, json.dumps(frames, sort_keys=True))

    @property
    def _path(self) -> Path:
        return Path(self.model.name)

    def encode_files(
        self, files: Sequence[str], plan: Segmenter, digest: Callable[[str], str], num_workers: int
    ) -> Iterator[IndexedFile]:
        """Encode the segments of files; those that cannot be read have a reason."""
        parts = SegmentParts(files, self.pipeline, plan, digest)
        for file in encode_parts(self.model.model, parts, num_workers, self.model.fp16):
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
        features = self._encode_texts(texts) if texts else {}
        of_texts = iter(self._text_vectors(features) if texts else ())
        vectors = [next(of_texts) if term.kind == 'text' else self._media_vector(term) for term in query]
        total = weights @ np.stack(vectors)
        length = float(np.linalg.norm(total))
        if not np.isfinite(length):
            raise ValueError('the model gives this query a vector of NaN or infinite numbers')
        if length < 1e-6:
            raise ValueError('the terms of the query cancel each other: there is nothing to search for')
        is_reranked = self.layout is not None and len(texts) == len(query)
        vector = (total / length).astype(np.float32)
        return EncodedQuery(vector, weights.tolist(), features if is_reranked else None)

    def rerank(self, query: EncodedQuery, features: Sequence[bytes]) -> np.ndarray:
        """Return the weighted sum of the head's scores of the texts with stored features, (S,)."""
        if self.layout is None or query.texts is None:
            raise ValueError('the cosine is the score of this query: there is nothing to compare exactly')
        return score_stored(self.model.model, query.texts, self.layout, features, query.weights)

    def _index_file(self, file: EncodedFile) -> IndexedFile:
        """Turn features into vectors, and bytes for the head."""
        reason = file.unreadable
        if file.features is not None:
            vectors = self._video_vectors(file.features)
            try:
                stored = [] if self.layout is None else pack_features(self.layout, file.features)
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
        media = read_image(term.value)[None] if is_image else [(term.value, term.start, term.end)]
        features = to_features(self.model.encode_videos(media), 'video', self.model.scores_by_cosine)
        return self._video_vectors(features)[0]

    @torch.no_grad()
    def _text_vectors(self, features: Features) -> np.ndarray:
        return text_vectors(self.adapter, features).float().cpu().numpy()

    @torch.no_grad()
    def _video_vectors(self, features: Features) -> np.ndarray:
        return video_vectors(self.adapter, move_features(features, self.model.device)).float().cpu().numpy()

    def _encode_texts(self, texts: list[str]) -> Features:
        features = self.model.encode_text(texts)
        return move_features(to_features(features, 'text', not self.adapter.uses_tokens), self.model.device)


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
            if upright.mode.startswith('I;16'):  # which convert() would cut off at 255
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


@torch.no_grad()
def digest_weights(model: nn.Module) -> str:
    """Digest the names and values of all weights, BLAKE2b of 16 bytes in hex.

    Examples:
        >>> one, other = nn.Linear(1, 1), nn.Linear(1, 1)
        >>> digest_weights(one) == digest_weights(other)
        False
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(model.state_dict().items()):
        digest.update(f'{name} {tuple(value.shape)} {value.dtype}'.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
