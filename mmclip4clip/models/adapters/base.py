import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..features import Features, as_features, vectors


class BaseAdapter(BaseModule, metaclass=ABCMeta):
    """The contract of every similarity calculator: encode once, score pairs.

    The model calls :meth:`contextualize` and :meth:`pool`, the two stages of :meth:`encode`, so that a
    caption decoder can read the frames between them, and :meth:`similarity`.
    ``uses_logit_scale`` says whether the model multiplies the similarity by
    CLIP's logit scale on the way to the logits. ``uses_tokens`` says whether
    captions come as the features of all their tokens, ``tokens`` (N, L, D) and ``text_mask``
    (N, L), instead of one vector each, ``text`` (N, D). Features are always dicts of tensors.

    Examples:
        >>> import torch
        >>> from mmclip4clip.models import MeanAdapter
        >>> adapter = MeanAdapter()
        >>> videos = adapter.encode(torch.tensor([[[3., 0.], [0., 9.]]]), torch.tensor([[1, 0]]))
        >>> videos
        {'video': tensor([[1., 0.]])}
        >>> adapter.similarity(dict(text=torch.tensor([[3., 4.]])), videos)
        tensor([[0.6000]])
    """

    uses_logit_scale = True
    uses_tokens = False

    @property
    def max_frames(self) -> int | None:
        """The most frames of a video that have a position, None if there are no positions."""
        return None

    def init_from_clip(self, backbone: BaseModule) -> None:
        """Start from the backbone's weights; called whenever those are set, before a checkpoint is loaded.

        Args:
            backbone (BaseModule): The model's CLIP. The default takes nothing.
        """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep ``contextualise``, the earlier spelling of ``contextualize``, working in both directions."""
        super().__init_subclass__(**kwargs)
        defined = vars(cls)
        if 'contextualise' in defined:
            warnings.warn(
                f'{cls.__name__}.contextualise is called contextualize now', FutureWarning, stacklevel=2
            )
            cls.contextualize = defined['contextualise']  # type: ignore[method-assign]
        elif 'contextualize' in defined:
            cls.contextualise = defined['contextualize']

    def contextualize(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Let the frames of each video see one another, (V, T, D) -> (V, T, D); here they do not."""
        return frames

    contextualise = contextualize  # the earlier spelling

    def context_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters that :meth:`contextualize` uses: those that train without similarity."""
        return ()

    @abstractmethod
    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Make what :meth:`encode` returns of the frames that :meth:`contextualize` left, (V, T, D)."""

    def encode(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Turn the frames of each video into all that must be kept of it.

        Args:
            frames (Tensor): Frame features, not normalized, (V, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

        Returns:
            dict[str, Tensor]: Video features, with V first in each.
        """
        pooled = self.pool(self.contextualize(frames, frame_mask), frame_mask)
        return as_features(pooled, type(self).__name__)

    # Its arguments have the types of what the same adapter asks for and encodes, which differ.
    @abstractmethod
    def similarity(self, text: Any, videos: Any) -> Tensor:
        """Score every caption with every video, in memory that does not grow with N x V x D.

        Args:
            text (dict[str, Tensor]): Caption features, not normalized: ``text``
                (N, D), or those of all tokens where ``uses_tokens``.
            videos (dict[str, Tensor]): What :meth:`encode` returned for V videos.

        Returns:
            Tensor: Similarity, without the logit scale, (N, V).
        """


class RerankableAdapter(BaseAdapter):
    """An adapter whose score of a pair is costly, so that a shortlist by a cheap one saves most of the work.

    ``rerank_top`` of the loops needs one: of each caption and each video the best pairs by
    :meth:`cheap_similarity` get their score from :meth:`pair_similarity`.
    """

    @abstractmethod
    def cheap_similarity(self, text: Any, videos: Any) -> Tensor:
        """Score every caption with every video roughly, to make shortlists by.

        Args:
            text (dict[str, Tensor]): As for :meth:`similarity`.
            videos (dict[str, Tensor]): Likewise.

        Returns:
            Tensor: Scores in [-1, 1], (N, V).
        """

    @abstractmethod
    def pair_similarity(self, text: Any, videos: Any, pairs: Tensor) -> Tensor:
        """Score some pairs of captions and videos as :meth:`similarity` does.

        Args:
            text (dict[str, Tensor]): As for :meth:`similarity`.
            videos (dict[str, Tensor]): Likewise.
            pairs (Tensor): The pairs, as indices n * V + v, (P,).

        Returns:
            Tensor: Similarity of each pair, (P,).
        """


class PooledAdapter(BaseAdapter):
    """An adapter that keeps one unit vector a video and scores by the cosine."""

    def context_parameters(self) -> Iterable[nn.Parameter]:
        """Return all parameters: the mean has none."""
        return self.parameters()

    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Average the frames (V, T, D) of each video into one vector of unit length, ``video`` (V, D)."""
        return dict(video=mean_of_frames(frames, frame_mask))

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Return the cosine of each caption, ``text`` (N, D), with each video, ``video`` (V, D), (N, V)."""
        return cosine(vectors(text), vectors(videos))


def mean_of_frames(frames: Tensor, frame_mask: Tensor) -> Tensor:
    """Average the unit vectors of a video's real frames, (V, T, D) -> unit length, (V, D)."""
    frames = F.normalize(frames, dim=-1)
    weights = frame_mask.to(frames.dtype) / frame_mask.sum(dim=1, keepdim=True)
    return F.normalize(torch.einsum('vt,vtd->vd', weights, frames), dim=-1)


def cosine(text: Tensor, videos: Tensor) -> Tensor:
    """Return the cosine of captions (N, D) with unit-length videos (V, D), (N, V)."""
    with torch.autocast(text.device.type, enabled=False):  # half precision would tie scores
        precise = torch.promote_types(text.dtype, torch.float32)
        return F.normalize(text.to(precise), dim=-1) @ videos.to(precise).T
