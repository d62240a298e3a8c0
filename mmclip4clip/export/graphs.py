"""The parts of a model as modules that torch.onnx exports, one graph each."""

from typing import Any

import torch
from torch import Tensor, nn

from ..models.adapters import SeqLSTMAdapter
from ..models.adapters.base import PooledAdapter
from ..models.backbones.patch3d import with_neighbors


class TextGraph(nn.Module):
    """Token ids (N, L) and their mask (N, L) to caption features, not normalized, (N, D)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone = model.backbone

    def forward(self, tokens: Tensor, text_mask: Tensor) -> Tensor:
        """Run the text tower and its projection."""
        return self.backbone.encode_text(tokens, text_mask)


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
    """Frame features (V, T, D) and their mask (V, T) to unit vectors of videos, (V, D).

    Raises:
        TypeError: If the adapter keeps more than one vector per video.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        if not isinstance(model.adapter, PooledAdapter):
            raise TypeError(
                f'{type(model.adapter).__name__} has no ONNX export: its score of a pair is more than the '
                'cosine of two vectors. Adapters with one vector per video, such as MeanAdapter, '
                'SeqTransformerAdapter and SeqLSTMAdapter, have one'
            )
        self.adapter = model.adapter

    def forward(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Contextualize and pool the frames."""
        if isinstance(self.adapter, SeqLSTMAdapter):
            # Not packed, which ONNX cannot do. Padding comes last, so real frames do not see it.
            context = frames + self.adapter.lstm(frames)[0]
        else:
            context = self.adapter.contextualize(frames, frame_mask)
        return self.adapter.pool(context, frame_mask)['video']
