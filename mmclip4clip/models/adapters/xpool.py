import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..features import Features, vectors
from .base import BaseAdapter


@MODELS.register_module()
class XPoolAdapter(BaseAdapter):
    """Pool the frames of a video by attention from the caption.

    X-Pool (arXiv:2203.15086): the caption attends to the frames, and the output of the attention is the
    video's vector. The similarity is the cosine of the caption and that vector. The order of frames has no
    effect.

    Args:
        width (int): Width D of the frame features.
        num_heads (int): Number of attention heads.
        dropout (float): Dropout before the last residual connection.
        pairs_at_once (int): Pairs of a caption and a video per chunk, which bounds memory. If there are
            several chunks, training recomputes them in the backward pass.

    Raises:
        ValueError: If ``width`` is not a multiple of ``num_heads``.

    Examples:
        >>> import torch
        >>> adapter = XPoolAdapter(width=8)
        >>> videos = adapter.encode(torch.rand(2, 3, 8), torch.tensor([[1, 1, 1], [1, 1, 0]]))
        >>> adapter.similarity(dict(text=torch.rand(5, 8)), videos).shape
        torch.Size([5, 2])
    """

    def __init__(
        self, width: int = 512, num_heads: int = 1, dropout: float = 0.3, pairs_at_once: int = 32768
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f'width={width} does not divide into num_heads={num_heads}')
        self.num_heads, self.pairs_at_once = num_heads, pairs_at_once
        for name in ('q_proj', 'k_proj', 'v_proj', 'out_proj', 'linear_proj'):
            layer = nn.Linear(width, width)  # all are initialized as the identity, as in X-Pool
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
            self.add_module(name, layer)
        self.input_norm, self.attended_norm, self.output_norm = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Project the frames (V, T, D) to the keys and values of the attention.

        Returns:
            dict[str, Tensor]: ``keys`` and ``values``, (V, T, D), and ``frame_mask``, (V, T).
        """
        normed = self.input_norm(frames)
        return dict(keys=self.k_proj(normed), values=self.v_proj(normed), frame_mask=frame_mask)

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Score every caption, ``text`` (N, D), with every video by the cosine, (N, V)."""
        captions = vectors(text)
        query = self.q_proj(self.input_norm(captions))
        at_once = max(1, self.pairs_at_once // len(videos['keys']))
        parts = list(zip(captions.split(at_once), query.split(at_once)))
        if torch.is_grad_enabled() and len(parts) > 1:
            return torch.cat([checkpoint(self._score, *part, videos, use_reentrant=False) for part in parts])
        return torch.cat([self._score(*part, videos) for part in parts])

    def _score(self, text: Tensor, query: Tensor, videos: dict[str, Tensor]) -> Tensor:
        """Score a chunk of captions (n, D), given their queries (n, D), with every video, (n, V)."""
        split = dict(sizes=(self.num_heads, -1), dim=-1)
        keys, values = (videos[key].unflatten(**split) for key in ('keys', 'values'))
        query = query.unflatten(**split)
        scores = torch.einsum('nhc,vthc->nvth', query, keys) / query.shape[-1] ** 0.5
        scores = scores.masked_fill(~videos['frame_mask'].bool()[:, :, None], float('-inf'))
        attended = torch.einsum('nvth,vthc->nvhc', scores.softmax(dim=2), values).flatten(2)
        attended = self.attended_norm(self.out_proj(attended))
        pooled = self.output_norm(attended + self.dropout(self.linear_proj(attended)))  # (n, V, D)
        with torch.autocast(text.device.type, enabled=False):  # half precision would give ties
            precise = torch.promote_types(text.dtype, torch.float32)
            return F.cosine_similarity(text.to(precise)[:, None], pooled.to(precise), dim=-1)
