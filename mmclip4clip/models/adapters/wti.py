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
    """Match every token of a caption with every frame, and average the best matches with learned weights.

    The weighted token-wise interaction of Disentangled Representation Learning
    (arXiv:2203.07111). Each token is matched with its best frame and each frame with its best token. Two
    small networks predict the weights of tokens and frames. The similarity is the mean of both directions.
    As in the code of that paper, a transformer relates the frames first, see
    :class:`SeqTransformerAdapter`. Padding is never matched; in that code it can win with a cosine of 0.

    Args:
        width (int): Width D of the features of frames and tokens.
        num_layers (int): Number of transformer blocks over the frames. With 0 there are no positions
            either, so that the order of frames has no effect.
        num_heads (int, optional): Attention heads; one per 64 channels if None.
        max_frames (int): Maximum number of frames, which is the number of position embeddings.
        start (str): ``'clip_text'`` or ``'random'``, see :class:`SequenceTransformer`.
        pairs_at_once (int): Pairs of a caption and a video per chunk, which bounds memory. If there are
            several chunks, training recomputes them in the backward pass.
        intermediate_size (int, optional): Width of the feed-forward layers; 4 D if None.

    Raises:
        ValueError: If ``width`` is not a multiple of ``num_heads``, or ``start`` is unknown.

    Examples:
        >>> import torch
        >>> adapter = WTIAdapter(width=8, num_layers=0)
        >>> videos = adapter.encode(torch.rand(2, 3, 8), torch.tensor([[1, 1, 1], [1, 1, 0]]))
        >>> text = dict(tokens=torch.rand(5, 4, 8), text_mask=torch.ones(5, 4))
        >>> adapter.similarity(text, videos).shape
        torch.Size([5, 2])
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
        intermediate_size: int | None = None,
    ) -> None:
        super().__init__()
        self.transformer = (
            SequenceTransformer(width, num_layers, num_heads, max_frames, start, intermediate_size)
            if num_layers
            else None
        )
        self.pairs_at_once = pairs_at_once
        self.token_weight, self.frame_weight = (
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)) for _ in range(2)
        )

    @property
    def max_frames(self) -> int | None:
        """Maximum number of frames per video; None without blocks."""
        return None if self.transformer is None else len(self.transformer.positions.weight)

    def init_from_clip(self, backbone: CLIPBackbone) -> None:
        """Copy the lowest blocks of CLIP's text tower, see :class:`SequenceTransformer`."""
        if self.transformer is not None:
            self.transformer.init_from_clip(backbone)

    def contextualize(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Add the output of the transformer, if any, to the frames, (V, T, D)."""
        return frames if self.transformer is None else frames + self.transformer(frames, frame_mask)

    def context_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters of the blocks."""
        return () if self.transformer is None else self.transformer.parameters()

    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Normalize the frames (V, T, D) of each video and predict their weights.

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
    """Predict weights (B, L) of features (B, L, D) that sum to 1 over the mask (B, L)."""
    scores = network(features).squeeze(-1)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return scores.masked_fill(~mask.bool(), float('-inf')).softmax(dim=-1)


def _interact(tokens: Tensor, weights: Tensor, mask: Tensor, videos: dict[str, Tensor]) -> Tensor:
    """Match unit-length tokens (n, L, D) with the unit-length frames of every video, (n, V)."""
    with torch.autocast(tokens.device.type, enabled=False):  # half precision would give ties
        precise = torch.promote_types(tokens.dtype, torch.float32)
        tokens, frames = tokens.to(precise), videos['frames'].to(precise)
        cosines = torch.einsum('nld,vtd->nvlt', tokens, frames)
        frame_mask = videos['frame_mask'].bool()[None, :, None, :]
        best_frame = cosines.masked_fill(~frame_mask, float('-inf')).amax(dim=-1)  # (n, V, L)
        best_token = cosines.masked_fill(~mask[:, None, :, None], float('-inf')).amax(dim=-2)  # (n, V, T)
        to_video = torch.einsum('nvl,nl->nv', best_frame, weights.to(precise))
        to_text = torch.einsum('nvt,vt->nv', best_token, videos['weights'].to(precise))
        return (to_video + to_text) / 2
