"""A model with the methods of a sentence encoder, as other projects call it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..datasets.video_names import is_video
from ..datasets.video_readers import VideoReadError
from .model_choice import load
from .video_text_model import VideoTextModel

FIXED = dict(output_value='sentence_embedding', precision='float32', device=None, pool=None, chunk_size=None)


class SentenceEncoder:
    """Encodes texts and videos by one method, with the signature of sentence-transformers 6.

    Texts and videos are vectors of one space, and their similarity is the cosine. As there, a string that is
    the path of an existing video file is a video; ``dict(text=...)`` and ``dict(video=...)`` leave no doubt.

    Args:
        model (VideoTextModel | str): The model, or what :func:`mmclip4clip.load` reads it from.
        device (str, optional): See :func:`mmclip4clip.load`.

    Raises:
        TypeError: If the head of the model does not compare one vector per video and text.

    Examples:
        >>> model = SentenceEncoder('epoch_5.pth')  # doctest: +SKIP
        >>> vectors = model.encode(['a dog on a skateboard', 'dog.mp4'])  # doctest: +SKIP
        >>> model.similarity(vectors[:1], vectors[1:])  # doctest: +SKIP
        tensor([[0.31]])
    """

    similarity_fn_name = 'cosine'

    def __init__(self, model: VideoTextModel | str | os.PathLike, device: str | None = None) -> None:
        self.model = (
            model
            if isinstance(model, VideoTextModel)
            else load(os.fspath(model), device=device, backend='torch')
        )
        if not self.model.scores_by_cosine or self.model.model.adapter.uses_tokens:
            raise TypeError(
                f'{self.model.name} has a {type(self.model.model.adapter).__name__}, which keeps more than a '
                'vector: a sentence encoder needs a head such as MeanAdapter or SeqTransformerAdapter'
            )

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.model.device

    def get_embedding_dimension(self) -> int:
        """Return the width D of the vectors."""
        return self.model.model.backbone.width

    def get_sentence_embedding_dimension(self) -> int:
        """Return the width D; an earlier name of :meth:`get_embedding_dimension`."""
        return self.get_embedding_dimension()

    def encode(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: str | None = 'sentence_embedding',
        precision: str = 'float32',
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
    ) -> np.ndarray | Tensor | list[Tensor]:
        """Encode texts and videos.

        Args:
            inputs (Any): A text or a video, or a list of them. Videos are paths, arrays of frames
                (T, H, W, 3) uint8, and what else :meth:`VideoTextModel.encode_videos` takes.
            prompt_name (str, optional): Must be None: the model has no named prompts.
            prompt (str, optional): Put before each text.
            batch_size (int): Texts or videos per batch.
            show_progress_bar (bool, optional): Whether to show the progress of videos; by default on a
                terminal.
            output_value (str): Only ``'sentence_embedding'``.
            precision (str): Only ``'float32'``.
            convert_to_numpy (bool): Whether to return an array.
            convert_to_tensor (bool): Whether to return a tensor, whatever ``convert_to_numpy`` is.
            device (None): Where the model is; choose it in ``__init__``.
            normalize_embeddings (bool): Vectors have unit length in any case, unless they are truncated.
            truncate_dim (int, optional): Keep the first values of each vector.
            pool (None): Not supported.
            chunk_size (None): Not supported.

        Returns:
            np.ndarray | Tensor | list[Tensor]: Vectors (N, D) float32, or (D,) of a single input.

        Raises:
            ValueError: If an argument has another value than those above.
            TypeError: If an input is neither a text nor a video.
            VideoReadError: If a video cannot be read.
        """
        given = dict(
            output_value=output_value, precision=precision, device=device, pool=pool, chunk_size=chunk_size
        )
        for key, value in given.items():
            if value != FIXED[key]:
                raise ValueError(f'{key} must be {FIXED[key]!r}, got {value!r}')
        if prompt_name is not None:
            raise ValueError(f'the model has no prompt called {prompt_name!r}: give the text as prompt')
        single = is_single(inputs)
        items = [find_kind(item) for item in ([inputs] if single else inputs)]
        vectors = self._encode(items, prompt or '', batch_size, show_progress_bar)[:, :truncate_dim]
        if normalize_embeddings:
            vectors = F.normalize(vectors, dim=-1)
        if convert_to_tensor:
            vectors = vectors.to(self.device)
            return vectors[0] if single else vectors
        if convert_to_numpy:
            return vectors[0].numpy() if single else vectors.numpy()
        return vectors[0] if single else list(vectors)

    def encode_query(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Encode queries; the same as :meth:`encode`, because texts and videos have no roles."""
        return self.encode(inputs, *args, **kwargs)

    def encode_document(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Encode documents; the same as :meth:`encode`."""
        return self.encode(inputs, *args, **kwargs)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Return the cosine of every pair of vectors (N, D) and (M, D): (N, M)."""
        return to_unit_rows(embeddings1) @ to_unit_rows(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Return the cosines of the vectors (N, D) with those in the same row of (N, D): (N,)."""
        return (to_unit_rows(embeddings1) * to_unit_rows(embeddings2)).sum(-1)

    def _encode(
        self, items: Sequence[tuple[str, Any]], prompt: str, batch_size: int, show_progress: bool | None
    ) -> Tensor:
        vectors = torch.zeros(len(items), self.get_embedding_dimension())
        places = {kind: [n for n, (k, _) in enumerate(items) if k == kind] for kind in ('text', 'video')}
        if places['text']:
            texts = [prompt + items[place][1] for place in places['text']]
            vectors[places['text']] = torch.from_numpy(self.model.encode_text(texts, batch_size))
        if places['video']:
            videos = [items[place][1] for place in places['video']]
            found = self.model.encode_videos(videos, batch_size, show_progress=show_progress)
            if self.model.unreadable:
                raise VideoReadError('; '.join(self.model.unreadable.values()))
            vectors[places['video']] = torch.from_numpy(found)
        return vectors


def is_single(inputs: Any) -> bool:
    """Return whether inputs are one text or video and not a list.

    Examples:
        >>> [is_single(inputs) for inputs in ('a dog', ['a dog'], ('v.mp4', 0, 10), np.zeros((2, 4, 4, 3)))]
        [True, False, True, True]
    """
    if isinstance(inputs, (np.ndarray, Tensor)):
        return inputs.ndim == 4 or inputs.ndim == 0
    is_range = isinstance(inputs, tuple) and len(inputs) == 3 and not isinstance(inputs[1], str)
    return isinstance(inputs, (str, os.PathLike, Mapping)) or is_range


def find_kind(item: Any) -> tuple[str, Any]:
    """Return ``text`` or ``video`` and the text or video.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(item, Mapping):
        if len(item) != 1 or next(iter(item)) not in ('text', 'video'):
            raise TypeError(f'a dict must have either text or video, got the keys {list(item)}')
        return next(iter(item.items()))
    if isinstance(item, str):
        path = urlsplit(item).path if item.startswith(('http://', 'https://')) else item
        if path != item and is_video(path):
            raise TypeError(f'{item} is a URL: download the video, or use dict(text=...) for a text')
        return 'video' if is_video(item) and os.path.isfile(item) else 'text', str(item)
    return 'video', item.numpy() if isinstance(item, Tensor) else item


def to_unit_rows(vectors: Any) -> Tensor:
    """Return vectors as rows of unit length, (N, D)."""
    if not isinstance(vectors, Tensor):
        is_list = isinstance(vectors, (list, tuple)) and len(vectors) and isinstance(vectors[0], Tensor)
        vectors = torch.stack(list(vectors)) if is_list else torch.from_numpy(np.asarray(vectors, np.float32))
    return F.normalize(vectors.float().reshape(-1, vectors.shape[-1]), dim=-1)
