"""A model of torch as an index uses it."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from ..datasets.pipeline_description import describe_pipeline
from ..models.features import Features, move_features
from ..models.weight_digest import digest_tensors
from ..search import shortlist_vectors
from ..search.feature_layout import FeatureLayout
from ..search.index_model import EncodedQuery
from ..search.index_settings import ModelIdentity
from ..search.queries import Term
from ..search.reranking import score_stored
from ..search.segments import Segmenter
from ..search.stored_features import pack_features
from .feature_arrays import to_features
from .frame_pipeline import FramePipeline
from .index_encoder import IndexEncoder, read_image, stamp_model
from .segment_encoder import SegmentParts, encode_parts
from .segment_parts import EncodedFile
from .video_text_model import VideoTextModel

__all__ = ['SearchModel', 'digest_weights', 'read_image', 'stamp_model']


class SearchModel(IndexEncoder):
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
        if merging := getattr(self.model.model.backbone, 'token_merging', None):
            frames['token_merging'] = list(merging)
        width = self.model.model.backbone.width
        name = type(self.adapter).__name__
        weights = self._fingerprint or digest_weights(self.model.model)
        source = str(self._path.resolve()) if self._path.exists() else self.model.name
        return ModelIdentity(source, name, width, weights, json.dumps(frames, sort_keys=True))

    @property
    def _path(self) -> Path:
        return Path(self.model.name)

    def encode_parts(
        self, files: Sequence[str], plan: Segmenter, digest: Callable[[str], str], num_workers: int
    ) -> Iterator[EncodedFile]:
        """Encode the segments of files as they are decoded."""
        parts = SegmentParts(files, self.pipeline, plan, digest)
        return encode_parts(self.model.model, parts, num_workers, self.model.fp16)

    def rerank(self, query: EncodedQuery, features: Sequence[bytes]) -> np.ndarray:
        """Return the weighted sum of the head's scores of the texts with stored features, (S,)."""
        if self.layout is None or query.texts is None:
            raise ValueError('the cosine is the score of this query: there is nothing to compare exactly')
        return score_stored(self.model.model, query.texts, self.layout, features, query.weights)

    def store_features(self, features: Features) -> list[bytes]:
        """Return the features that the head compares, as bytes of each segment."""
        return [] if self.layout is None else pack_features(self.layout, features)

    def encode_media(self, media: list[Any]) -> Features:
        """Encode images and videos; see :meth:`VideoTextModel.encode_videos`."""
        return to_features(self.model.encode_videos(media), 'video', self.model.scores_by_cosine)

    @torch.no_grad()
    def text_vectors(self, features: Features) -> np.ndarray:
        """Return the vectors of texts, (N, D)."""
        return shortlist_vectors.text_vectors(self.adapter, features).float().cpu().numpy()

    @torch.no_grad()
    def video_vectors(self, features: Features) -> np.ndarray:
        """Return the vectors of videos, (V, D)."""
        moved = move_features(features, self.model.device)
        return shortlist_vectors.video_vectors(self.adapter, moved).float().cpu().numpy()

    def encode_texts(self, texts: list[str]) -> Features:
        """Encode texts; see :meth:`VideoTextModel.encode_text`."""
        features = self.model.encode_text(texts)
        return move_features(to_features(features, 'text', not self.adapter.uses_tokens), self.model.device)


def digest_weights(model: nn.Module) -> str:
    """Digest the names and values of all weights, BLAKE2b of 16 bytes in hex.

    Examples:
        >>> one, other = nn.Linear(1, 1), nn.Linear(1, 1)
        >>> digest_weights(one) == digest_weights(other)
        False
    """
    return digest_tensors(model.state_dict())
