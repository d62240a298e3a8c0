from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .base import BaseAdapter, cosine


class RerankableAdapter(BaseAdapter):
    """An adapter with an expensive pair score, and a cheap vector per caption and video to select candidates.

    Search and ``rerank_top`` of the loops need such an adapter. The cosine of :meth:`cheap_text` and
    :meth:`cheap_video` selects the best pairs, and :meth:`pair_similarity` scores them. A subclass implements
    these three. Without the vectors, :meth:`cheap_similarity` is enough for the loops, but not for search.

    Examples:
        >>> import torch
        >>> from mmclip4clip.models import TightAdapter
        >>> adapter = TightAdapter(width=64, num_layers=1, max_frames=3, start='random')
        >>> videos = adapter.encode(torch.rand(2, 3, 64), torch.ones(2, 3))
        >>> text = dict(text=torch.rand(5, 64))
        >>> best = adapter.cheap_similarity(text, videos).argmax(dim=1)  # the best video of each caption
        >>> adapter.pair_similarity(text, videos, torch.arange(5) * 2 + best).shape
        torch.Size([5])
    """

    def cheap_text(self, text: Any) -> Tensor:
        """Return a vector of unit length for each caption, to select candidates.

        Args:
            text (dict[str, Tensor]): See :meth:`similarity`.

        Returns:
            Tensor: Vectors in the space of :meth:`cheap_video`, (N, D).
        """
        raise NotImplementedError(self._without_vectors('cheap_text'))

    def cheap_video(self, videos: Any) -> Tensor:
        """Return a vector of unit length for each video, to select candidates.

        Args:
            videos (dict[str, Tensor]): See :meth:`similarity`.

        Returns:
            Tensor: Vectors in the space of :meth:`cheap_text`, (V, D).
        """
        raise NotImplementedError(self._without_vectors('cheap_video'))

    def _without_vectors(self, method: str) -> str:
        return (
            f'{type(self).__name__} has no {method}(): search needs cheap_text and cheap_video, vectors of '
            'unit length whose cosine selects candidates'
        )

    def cheap_similarity(self, text: Any, videos: Any) -> Tensor:
        """Score every caption with every video approximately, to select candidates.

        Args:
            text (dict[str, Tensor]): See :meth:`similarity`.
            videos (dict[str, Tensor]): See :meth:`similarity`.

        Returns:
            Tensor: Scores in [-1, 1], (N, V). By default the cosine of :meth:`cheap_text` and
            :meth:`cheap_video`.
        """
        return cosine(self.cheap_text(text), self.cheap_video(videos))

    @abstractmethod
    def pair_similarity(self, text: Any, videos: Any, pairs: Tensor) -> Tensor:
        """Compute the score of :meth:`similarity` for selected pairs, in bounded memory.

        Args:
            text (dict[str, Tensor]): See :meth:`similarity`.
            videos (dict[str, Tensor]): See :meth:`similarity`.
            pairs (Tensor): The pairs, as indices n * V + v, (P,).

        Returns:
            Tensor: Similarity of each pair, (P,).
        """

    def score_block(self, text: Any, videos: Any) -> Tensor:
        """Compute :meth:`similarity` for few captions and videos at once, which is exported to ONNX.

        Chunks and other loops over the input would be fixed in the exported graph, and so would the values
        of ``len()``: sizes must be read from ``shape``.

        Args:
            text (dict[str, Tensor]): See :meth:`similarity`.
            videos (dict[str, Tensor]): See :meth:`similarity`.

        Returns:
            Tensor: Similarity, (N, V).
        """
        raise NotImplementedError(
            f'{type(self).__name__} has no score_block(), which scores all pairs of few captions and videos: '
            'the export to ONNX needs it'
        )


def score_chunks(score: Callable[..., Tensor], chunks: Sequence[tuple]) -> Tensor:
    """Score chunks of captions or pairs one after another, and concatenate the scores.

    If gradients are needed, the backward pass computes several chunks again, which bounds memory.

    Args:
        score (Callable): Computes the scores of a chunk, with the pairs or captions first.
        chunks (Sequence[tuple]): Arguments of ``score`` for each chunk.

    Examples:
        >>> score_chunks(torch.add, [(torch.ones(2), 1), (torch.ones(1), 2)])
        tensor([2., 2., 3.])
    """
    if torch.is_grad_enabled() and len(chunks) > 1:
        return torch.cat([checkpoint(score, *chunk, use_reentrant=False) for chunk in chunks])
    return torch.cat([score(*chunk) for chunk in chunks])
