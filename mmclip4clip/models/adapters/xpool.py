import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from ..features import Features, take_features, vectors
from .base import unit_vectors
from .pair_reasons import PairReasons
from .rerankable import RerankableAdapter, score_chunks


@MODELS.register_module()
class XPoolAdapter(RerankableAdapter):
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

    def cheap_text(self, text: Features) -> Tensor:
        """Return each caption's vector, ``text`` (N, D), with unit length."""
        return unit_vectors(vectors(text))

    def cheap_video(self, videos: Features) -> Tensor:
        """Pool the frames of each video with equal weights instead of attention, with unit length, (V, D)."""
        weights = videos['frame_mask'] / videos['frame_mask'].sum(dim=1, keepdim=True)
        values = videos['values']
        return unit_vectors(self._project(torch.einsum('vt,vtd->vd', weights.to(values.dtype), values)))

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Score every caption, ``text`` (N, D), with every video by the cosine, (N, V)."""
        captions = vectors(text)
        at_once = max(1, self.pairs_at_once // len(videos['keys']))
        split = (captions.split(at_once), self._queries(captions).split(at_once))
        heads = dict(self._split_heads(videos), frame_mask=videos['frame_mask'])
        return score_chunks(self._score_all, [(*part, heads) for part in zip(*split)])

    def pair_similarity(self, text: Features, videos: Features, pairs: Tensor) -> Tensor:
        """Score selected pairs, n * V + v, (P,).

        A chunk of pairs copies their keys and values, so it has fewer pairs than one of :meth:`similarity`.
        """
        captions, (num_videos, num_frames, _) = vectors(text), videos['keys'].shape
        queries, heads = self._queries(captions), self._split_heads(videos)

        def score(chunk: Tensor) -> Tensor:
            rows, columns = chunk // num_videos, chunk % num_videos
            clips = take_features(heads, columns)
            scores = torch.einsum('phc,pthc->pth', queries[rows], clips['keys'])
            weights = _attend(scores, videos['frame_mask'][columns])
            return self._compare(captions[rows], torch.einsum('pth,pthc->phc', weights, clips['values']))

        at_once = max(1, self.pairs_at_once // (2 * num_frames))
        return score_chunks(score, [(chunk,) for chunk in pairs.split(at_once)])

    def score_block(self, text: Features, videos: Features) -> Tensor:
        """Score every caption with every video in one chunk, (N, V)."""
        heads = dict(self._split_heads(videos), frame_mask=videos['frame_mask'])
        return self._score_all(vectors(text), self._queries(vectors(text)), heads)

    def explain(self, text: Features, frames: Tensor, frame_mask: Tensor) -> PairReasons:
        """Score each frame alone, and weigh it by the attention of the caption, the mean of all heads.

        A frame alone has all attention, so its score is the cosine of the caption with its projected value.
        The layers after the attention are not linear: the weighted sum of the scores of the frames is near
        the score of the pair, but not equal to it.
        """
        reasons = super().explain(text, frames, frame_mask)
        keys = self._split_heads(self.pool(frames, frame_mask))['keys'][0]  # (T, H, C)
        scores = torch.einsum('hc,thc->th', self._queries(vectors(text))[0], keys)
        weights = _attend(scores, frame_mask[0]).mean(dim=-1)
        return reasons._replace(frame_weights=weights[frame_mask[0].bool()])

    def _score_all(self, captions: Tensor, queries: Tensor, heads: Features) -> Tensor:
        """Score captions (n, D) with queries (n, H, C) against videos in heads, (n, V)."""
        scores = torch.einsum('nhc,vthc->nvth', queries, heads['keys'])
        weights = _attend(scores, heads['frame_mask'])
        return self._compare(captions[:, None], torch.einsum('nvth,vthc->nvhc', weights, heads['values']))

    def _queries(self, captions: Tensor) -> Tensor:
        """Project captions (N, D) to queries (N, H, C), scaled by 1 / sqrt(C)."""
        query = self.q_proj(self.input_norm(captions)).unflatten(-1, (self.num_heads, -1))
        return query / query.shape[-1] ** 0.5

    def _split_heads(self, videos: Features) -> Features:
        """Split keys and values (V, T, D) into heads, (V, T, H, C)."""
        return {key: videos[key].unflatten(-1, (self.num_heads, -1)) for key in ('keys', 'values')}

    def _compare(self, captions: Tensor, attended: Tensor) -> Tensor:
        """Return the cosine of captions (..., D) with what they attended to (..., H, C), (...)."""
        pooled = self._project(attended.flatten(-2))
        with torch.autocast(captions.device.type, enabled=False):  # half precision would give ties
            precise = torch.promote_types(captions.dtype, torch.float32)
            return F.cosine_similarity(captions.to(precise), pooled.to(precise), dim=-1)

    def _project(self, attended: Tensor) -> Tensor:
        """Turn the output of the attention (..., D) into vectors of videos (..., D)."""
        attended = self.attended_norm(self.out_proj(attended))
        return self.output_norm(attended + self.dropout(self.linear_proj(attended)))


def _attend(scores: Tensor, frame_mask: Tensor) -> Tensor:
    """Turn scores (..., T, H) into attention over the frames of frame_mask (..., T)."""
    return scores.masked_fill(~frame_mask.bool()[..., None], float('-inf')).softmax(dim=-2)
