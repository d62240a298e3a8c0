from abc import ABCMeta, abstractmethod
from typing import Dict, List, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

# What an adapter keeps of V videos: one tensor, or several, each with V first.
VideoFeatures = Union[Tensor, Dict[str, Tensor]]


class BaseAdapter(BaseModule, metaclass=ABCMeta):
    """The contract of every similarity calculator: encode once, score pairs.

    Training, evaluation and search call these two verbs and nothing else.
    ``uses_logit_scale`` says whether the model multiplies the similarity by
    CLIP's logit scale on the way to the logits.
    """

    uses_logit_scale = True

    def start_from(self, backbone: BaseModule) -> None:
        """Start from the backbone's weights; called once, before any checkpoint is loaded.

        Args:
            backbone (BaseModule): The model's CLIP. The default takes nothing.
        """

    @abstractmethod
    def encode(self, frames: Tensor, frame_mask: Tensor) -> VideoFeatures:
        """Turn the frames of each video into all that must be kept of it.

        Args:
            frames (Tensor): Frame features, not normalised, (V, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

        Returns:
            Tensor | dict[str, Tensor]: Video features, with V first in each.
        """

    @abstractmethod
    def similarity(self, text: Tensor, videos: VideoFeatures) -> Tensor:
        """Score every caption with every video, in memory that does not grow with N x V x D.

        Args:
            text (Tensor): Caption features, not normalised, (N, D).
            videos (Tensor | dict[str, Tensor]): What :meth:`encode` returned for V videos.

        Returns:
            Tensor: Similarity, without the logit scale, (N, V).
        """


class PooledAdapter(BaseAdapter):
    """An adapter that keeps one unit vector a video and scores by the cosine."""

    @abstractmethod
    def contextualise(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Let the frames of each video see one another, (V, T, D) -> (V, T, D)."""

    def encode(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Pool the frames of each video into one vector.

        Args:
            frames (Tensor): Frame features, (V, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

        Returns:
            Tensor: Unit-length video features, (V, D).
        """
        frames = F.normalize(self.contextualise(frames, frame_mask), dim=-1)
        weights = frame_mask.to(frames.dtype) / frame_mask.sum(dim=1, keepdim=True)
        return F.normalize(torch.einsum('vt,vtd->vd', weights, frames), dim=-1)

    def similarity(self, text: Tensor, videos: Tensor) -> Tensor:
        """Return the cosine of each caption (N, D) with each video (V, D), (N, V)."""
        with torch.autocast(text.device.type, enabled=False):  # half precision would tie scores
            return F.normalize(text.float(), dim=-1) @ videos.float().T


def split_videos(videos: VideoFeatures) -> List[VideoFeatures]:
    """Take the features of V videos apart into V pieces without the leading V."""
    if isinstance(videos, Tensor):
        return [video.clone() for video in videos]  # a view would drag the whole batch along
    return [dict(zip(videos, values)) for values in zip(*map(split_videos, videos.values()))]


def join_videos(pieces: List[VideoFeatures]) -> VideoFeatures:
    """Put pieces of :func:`split_videos` together again, padding T with zeros where it differs."""
    if isinstance(pieces[0], Tensor):
        return torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True) \
            if pieces[0].ndim else torch.stack(pieces)
    return {key: join_videos([piece[key] for piece in pieces]) for key in pieces[0]}
