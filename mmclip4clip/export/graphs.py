"""The parts of a model as modules that torch.onnx exports, one graph each.

Graphs of a head that compares more than a vector return its features by part, and at the end the vector that
selects candidates. ``frame_mask`` and ``text_mask`` are not among the outputs: they are inputs, unchanged.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..models.adapters import RerankableAdapter, SeqLSTMAdapter
from ..models.adapters.base import PooledAdapter
from ..models.backbones.patch3d import with_neighbors
from .part_names import FRAME_MASK, TEXT_MASK


def check_exportable(adapter: nn.Module) -> None:
    """Check that an adapter has what is exported.

    Raises:
        TypeError: If it has not.
    """
    if isinstance(adapter, PooledAdapter):
        return
    if not isinstance(adapter, RerankableAdapter) or (
        type(adapter).score_block is RerankableAdapter.score_block
    ):
        raise TypeError(
            f'{type(adapter).__name__} has no ONNX export: expected a PooledAdapter, which keeps one vector '
            'per video, or a RerankableAdapter with cheap_text, cheap_video and score_block'
        )


class TextGraph(nn.Module):
    """Token ids (N, L) and their mask (N, L) to caption features, not normalized, (N, D) or (N, L, D)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone, self.adapter = model.backbone, model.adapter

    def forward(self, tokens: Tensor, text_mask: Tensor) -> tuple[Tensor, ...]:
        """Run the text tower and its projection."""
        if self.adapter.uses_tokens:
            text = self.backbone.encode_text(tokens, text_mask, per_token=True)
        else:
            text = dict(text=self.backbone.encode_text(tokens, text_mask))
        parts = tuple(part for name, part in text.items() if name != TEXT_MASK)
        if isinstance(self.adapter, RerankableAdapter):
            parts = (*parts, self.adapter.cheap_text(text))
        return parts


class FrameGraph(nn.Module):
    """Frames (T, 3, H, W) uint8 to features, not normalized, (T, D).

    They are of one video if the patch projection reads the neighbors of a frame, and else of any videos.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone, self.normalize = model.backbone, model.data_preprocessor
        self.neighbors = not model.backbone.frames_are_independent

    def forward(self, frames: Tensor) -> Tensor:
        """Normalize frames, and run the vision tower and its projection."""
        frames = (frames.float() - self.normalize.mean) / self.normalize.std
        if self.neighbors:
            frames = with_neighbors(frames[None], torch.ones_like(frames[None, :, 0, 0, 0]))[0]
        return self.backbone.family.encode_images(self.backbone.clip, frames)


class AdapterGraph(nn.Module):
    """Frame features (V, T, D) and their mask (V, T) to the features of videos, with V first."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.adapter = model.adapter

    def forward(self, frames: Tensor, frame_mask: Tensor) -> tuple[Tensor, ...]:
        """Contextualize and pool the frames."""
        if isinstance(self.adapter, SeqLSTMAdapter):
            # Not packed, which ONNX cannot do. Padding comes last, so real frames do not see it.
            context = frames + self.adapter.lstm(frames)[0]
        else:
            context = self.adapter.contextualize(frames, frame_mask)
        videos = self.adapter.pool(context, frame_mask)
        # An output must be computed: the frames of Tight are an input, and so they get an operation.
        parts = tuple(
            part + 0 if part is frames else part for name, part in videos.items() if name != FRAME_MASK
        )
        if isinstance(self.adapter, RerankableAdapter):
            parts = (*parts, self.adapter.cheap_video(videos))
        return parts


class PairGraph(nn.Module):
    """Features of texts and of videos, one argument for each part, to the head's scores, (N, V)."""

    def __init__(self, model: Any, text: Sequence[str], videos: Sequence[str]) -> None:
        super().__init__()
        self.adapter, self.text, self.videos = model.adapter, list(text), list(videos)

    def forward(self, *parts: Tensor) -> Tensor:
        """Score all pairs."""
        count = len(self.text)
        text, videos = dict(zip(self.text, parts[:count])), dict(zip(self.videos, parts[count:]))
        return self.adapter.score_block(text, videos)
