"""One vector per text and per video for any adapter; their cosine selects the candidates of a search."""

from typing import Any

from torch import Tensor, nn

from ..models.adapters import RerankableAdapter
from ..models.adapters.base import PooledAdapter, unit_vectors
from ..models.features import vectors


def text_vectors(adapter: nn.Module, text: Any) -> Tensor:
    """Return the vectors of texts to search with.

    Args:
        adapter (nn.Module): The adapter of the model.
        text (dict[str, Tensor]): Features of N texts from ``model.encode_text``.

    Returns:
        Tensor: Vectors of unit length, (N, D).

    Raises:
        TypeError: If the adapter has no such vectors.

    Examples:
        >>> import torch
        >>> from mmclip4clip.models import MeanAdapter
        >>> text_vectors(MeanAdapter(), dict(text=torch.tensor([[3., 4.]])))
        tensor([[0.6000, 0.8000]])
    """
    if isinstance(adapter, RerankableAdapter):
        return adapter.cheap_text(text)
    _check_pooled(adapter)
    return unit_vectors(vectors(text))


def video_vectors(adapter: nn.Module, videos: Any) -> Tensor:
    """Return the vectors of videos to find.

    Args:
        adapter (nn.Module): The adapter of the model.
        videos (dict[str, Tensor]): Features of V videos from ``adapter.encode``.

    Returns:
        Tensor: Vectors of unit length in the space of :func:`text_vectors`, (V, D).

    Raises:
        TypeError: If the adapter has no such vectors.

    Examples:
        >>> import torch
        >>> from mmclip4clip.models import MeanAdapter
        >>> video_vectors(MeanAdapter(), dict(video=torch.tensor([[0., 1.]])))
        tensor([[0., 1.]])
    """
    if isinstance(adapter, RerankableAdapter):
        return adapter.cheap_video(videos)
    _check_pooled(adapter)
    return vectors(videos)


def _check_pooled(adapter: nn.Module) -> None:
    if not isinstance(adapter, PooledAdapter):
        raise TypeError(
            f'{type(adapter).__name__} has no vectors to search with: it must be a PooledAdapter, which '
            'keeps one vector per video, or a RerankableAdapter with cheap_text and cheap_video'
        )
