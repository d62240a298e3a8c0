from collections.abc import Iterable

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..backbones import CLIPBackbone
from ..features import Features
from .base import BaseAdapter
from .sequence_transformer import SequenceTransformer


@MODELS.register_module()
class WTIAdapter(BaseAdapter):
    """Compare every token of a caption with every frame, and weigh the best matches.

    The weighted token-wise interaction of Disentangled Representation Learning
    (arXiv:2203.07111): each token finds its best frame and each
    frame its best token; two small networks say how much each counts; the
    similarity is the mean of both directions. As in that work's own code, the
    frames first see one another as in :class:`SeqTransformerAdapter`. Padding
    is no candidate here, where that code lets it win with a cosine of 0.

    Args:
        width (int): Width D of the features of frames and tokens.
        num_layers (int): Transformer blocks over the frames; 0 for none, and then
            without positions, so that the order of frames does not count.
        num_heads (int, optional): Attention heads; one every 64 channels if None.
        max_frames (int): Frames that have a position.
        start (str): ``'clip_text'`` or ``'random'``, see :class:`SequenceTransformer`.
        pairs_at_once (int): Pairs of a caption and a video held in memory at
            once. While training, they are computed again in the backward pass.

    Raises:
        ValueError: If ``width`` does not divide into the heads, or ``start`` is unknown.
    """

    uses_tokens = True

    def __init__(
        self,
        width: int = 512,
        num_layers: int = 4,
        num_heads: int | None = None,
        max_frames: int = 77,
        start: str = 'clip_text',
        pairs_at_once: int = 65536,
    ) -> None:
        super().__init__()
        self.transformer = (
            SequenceTransformer(width, num_layers, num_heads, max_frames, start) if num_layers else None
        )
        self.pairs_at_once = pairs_at_once
        self.token_weight, self.frame_weight = (
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)) for _ in range(2)
        )

    @property
    def max_frames(self) -> int | None:
        """The most frames of a video, None without blocks."""
        return None if self.transformer is None else len(self.transformer.positions.weight)

    def init_from_clip(self, backbone: CLIPBackbone) -> None:
        """Start from the lowest blocks of CLIP's text tower, see :class:`SequenceTransformer`."""
        if self.transformer is not None:
            self.transformer.init_from_clip(backbone)

    def contextualize(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Add to each frame (V, T, D) what the blocks, if any, make of the whole sequence."""
        return frames if self.transformer is None else frames + self.transformer(frames, frame_mask)

    def context_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters of the blocks."""
        return () if self.transformer is None else self.transformer.parameters()

    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Weigh the frames (V, T, D) of each video.

        Returns:
            dict[str, Tensor]: ``frames`` of unit length, (V, T, D), ``weights``
            with sum 1 over the real frames, (V, T), and ``frame_mask``, (V, T).
        """
        weights = _weigh(self.frame_weight, frames, frame_mask)
        return dict(frames=F.normalize(frames, dim=-1), weights=weights, frame_mask=frame_mask)

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Score every caption, ``tokens`` (N, L, D) and ``text_mask`` (N, L), with every video, (N, V)."""
        tokens, mask = text['tokens'], text['text_mask']
        weights = _weigh(self.token_weight, tokens, mask)
        captions = max(1, self.pairs_at_once // len(videos['frames']))
        split = [x.split(captions) for x in (F.normalize(tokens, dim=-1), weights, mask.bool())]
        parts = list(zip(split[0], split[1], split[2]))
        if torch.is_grad_enabled() and len(parts) > 1:
            return torch.cat([checkpoint(_interact, *part, videos, use_reentrant=False) for part in parts])
        return torch.cat([_interact(*part, videos) for part in parts])


def _weigh(network: nn.Module, features: Tensor, mask: Tensor) -> Tensor:
    """Return weights with sum 1 over what the mask (B, L) keeps of features (B, L, D), (B, L)."""
    scores = network(features).squeeze(-1)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return scores.masked_fill(~mask.bool(), float('-inf')).softmax(dim=-1)


def _interact(tokens: Tensor, weights: Tensor, mask: Tensor, videos: dict[str, Tensor]) -> Tensor:
    """Match unit-length tokens (n, L, D) with the unit-length frames of every video, (n, V)."""
    with torch.autocast(tokens.device.type, enabled=False):  # half precision would tie scores
        precise = torch.promote_types(tokens.dtype, torch.float32)
        tokens, frames = tokens.to(precise), videos['frames'].to(precise)
        cosines = torch.einsum('nld,vtd->nvlt', tokens, frames)
        frame_mask = videos['frame_mask'].bool()[None, :, None, :]
        best_frame = cosines.masked_fill(~frame_mask, float('-inf')).amax(dim=-1)  # (n, V, L)
        best_token = cosines.masked_fill(~mask[:, None, :, None], float('-inf')).amax(dim=-2)  # (n, V, T)
        to_video = torch.einsum('nvl,nl->nv', best_frame, weights.to(precise))
        to_text = torch.einsum('nvt,vt->nv', best_token, videos['weights'].to(precise))
        return (to_video + to_text) / 2
