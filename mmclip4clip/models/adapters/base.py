import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..features import Features, as_features, vectors
from .pair_reasons import PairReasons, frames_alone


class BaseAdapter(BaseModule, metaclass=ABCMeta):
    """Base class of adapters, CLIP4Clip's similarity calculators: encode videos once, then score pairs.

    The model calls :meth:`contextualize`, :meth:`pool` and :meth:`similarity`. The first two are the
    stages of :meth:`encode`; a caption decoder reads the frames between them. Features are always dicts
    of tensors.

    Attributes:
        uses_logit_scale (bool): Whether the model multiplies the similarity by CLIP's logit scale to
            obtain the logits.
        uses_tokens (bool): Whether the adapter compares the features of all tokens of a caption,
            ``tokens`` (N, L, D) and ``text_mask`` (N, L). Otherwise it gets one vector per caption,
            ``text`` (N, D).

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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Accept subclasses with earlier names of methods, ``contextualise`` and ``start_from``."""
        super().__init_subclass__(**kwargs)
        defined = vars(cls)
        if 'contextualise' in defined:
            warnings.warn(
                f'{cls.__name__}.contextualise is called contextualize now', FutureWarning, stacklevel=2
            )
            cls.contextualize = defined['contextualise']  # type: ignore[method-assign]
        elif 'contextualize' in defined:
            cls.contextualise = defined['contextualize']
        if 'start_from' in defined and 'init_from_clip' not in defined:
            warnings.warn(
                f'{cls.__name__}.start_from is called init_from_clip now', FutureWarning, stacklevel=2
            )
            cls.init_from_clip = defined['start_from']  # type: ignore[method-assign]

    @property
    def max_frames(self) -> int | None:
        """Maximum number of frames per video; None if there is no limit."""
        return None

    def init_from_clip(self, backbone: BaseModule) -> None:
        """Initialize weights from CLIP; does nothing by default.

        The model calls this whenever the weights of the backbone are set, before it loads a checkpoint.

        Args:
            backbone (BaseModule): The backbone of the model.
        """

    def contextualize(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Relate the frames of each video to one another, (V, T, D) -> (V, T, D); the identity by default."""
        return frames

    contextualise = contextualize  # the earlier spelling

    def context_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters that :meth:`contextualize` uses, which train without a retrieval loss too."""
        return ()

    @abstractmethod
    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Turn the output of :meth:`contextualize`, (V, T, D), into the video features."""

    def encode(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Turn the frames of each video into the features to keep of it.

        Args:
            frames (Tensor): Frame features, not normalized, (V, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

        Returns:
            dict[str, Tensor]: Video features, with V first in each.
        """
        pooled = self.pool(self.contextualize(frames, frame_mask), frame_mask)
        return as_features(pooled, type(self).__name__)

    # Any, because each adapter has its own keys of features.
    @abstractmethod
    def similarity(self, text: Any, videos: Any) -> Tensor:
        """Score every caption with every video, using less memory than N x V x D elements.

        Args:
            text (dict[str, Tensor]): Caption features, not normalized: ``text`` (N, D), or ``tokens``
                (N, L, D) and ``text_mask`` (N, L) if ``uses_tokens``.
            videos (dict[str, Tensor]): Features of V videos from :meth:`encode`.

        Returns:
            Tensor: Similarity, without the logit scale, (N, V).
        """

    def explain(self, text: Any, frames: Tensor, frame_mask: Tensor) -> PairReasons:
        """Find out which frames, and which tokens, give one caption and one video their score.

        By default, the score of a frame is that of a video which has this contextualized frame alone, and
        frames have no weights.

        Args:
            text (dict[str, Tensor]): Features of one caption, see :meth:`similarity`; N = 1.
            frames (Tensor): Output of :meth:`contextualize` for one video, (1, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (1, T).

        Returns:
            PairReasons: The score and its parts.

        Raises:
            ValueError: If there are several videos, or there is no real frame.
        """
        alone = self.pool(*frames_alone(frames, frame_mask))
        whole = self.pool(frames, frame_mask)
        if isinstance(whole, Tensor) and not self.uses_tokens:
            text = vectors(text)  # an adapter for earlier versions compares tensors
        return PairReasons(self.similarity(text, whole)[0, 0], self.similarity(text, alone)[0])


class PooledAdapter(BaseAdapter):
    """Base class of adapters that keep one unit-length vector per video and score pairs by the cosine.

    Examples:
        >>> class FirstFrameAdapter(PooledAdapter):
        ...     def pool(self, frames, frame_mask):
        ...         return dict(video=F.normalize(frames[:, 0], dim=-1))
        >>> FirstFrameAdapter().pool(torch.ones(2, 3, 4), torch.ones(2, 3))['video'].shape
        torch.Size([2, 4])
    """

    def context_parameters(self) -> Iterable[nn.Parameter]:
        """Return all parameters, because pooling has none."""
        return self.parameters()

    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Average the frames (V, T, D) of each video into ``video`` (V, D), of unit length."""
        return dict(video=mean_of_frames(frames, frame_mask))

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Return the cosine of each caption, ``text`` (N, D), with each video, ``video`` (V, D), (N, V)."""
        return cosine(vectors(text), vectors(videos))

    def explain(self, text: Features, frames: Tensor, frame_mask: Tensor) -> PairReasons:
        """Score each frame by its cosine with the caption.

        The score is the cosine with the mean m of the T unit-length frames, so it is the sum of the cosines
        of the frames, each multiplied by its weight 1 / (T |m|). An adapter that pools otherwise has no
        weights.
        """
        reasons = super().explain(text, frames, frame_mask)
        if type(self).pool is not PooledAdapter.pool:
            return reasons
        real = unit_vectors(frames[0][frame_mask[0].bool()])  # (R, D)
        length = torch.linalg.vector_norm(real.mean(dim=0)).clamp(min=1e-12)  # as F.normalize
        return reasons._replace(frame_weights=(1 / (len(real) * length)).expand(len(real)))


def mean_of_frames(frames: Tensor, frame_mask: Tensor) -> Tensor:
    """Average the normalized real frames of each video, (V, T, D) -> unit length (V, D)."""
    frames = F.normalize(frames, dim=-1)
    weights = frame_mask.to(frames.dtype) / frame_mask.sum(dim=1, keepdim=True)
    return F.normalize(torch.einsum('vt,vtd->vd', weights, frames), dim=-1)


def cosine(text: Tensor, videos: Tensor) -> Tensor:
    """Return the cosine of captions (N, D) with unit-length videos (V, D), (N, V)."""
    with torch.autocast(text.device.type, enabled=False):  # half precision would tie scores
        captions = unit_vectors(text)
        return captions @ videos.to(captions.dtype).T


def unit_vectors(features: Tensor) -> Tensor:
    """Normalize vectors (..., D) to unit length, in single precision at least."""
    return F.normalize(features.to(torch.promote_types(features.dtype, torch.float32)), dim=-1)
