from collections.abc import Iterable

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from ..backbones import CLIPBackbone
from ..features import Features, take_features
from .base import unit_vectors
from .pair_reasons import PairReasons, frames_alone
from .rerankable import RerankableAdapter, score_chunks
from .sequence_transformer import SequenceTransformer


@MODELS.register_module()
class WTIAdapter(RerankableAdapter):
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

    def cheap_text(self, text: Features) -> Tensor:
        """Return the weighted sum of the unit-length tokens of each caption, with unit length, (N, D)."""
        tokens, weights, _ = self._weigh_tokens(text)
        return _weighted_sum(tokens, weights)

    def cheap_video(self, videos: Features) -> Tensor:
        """Return the weighted sum of the frames of each video, with unit length, (V, D).

        With :meth:`cheap_text`, the score is that of :meth:`similarity` with means in place of maxima.
        """
        return _weighted_sum(videos['frames'], videos['weights'])

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Score every caption, ``tokens`` (N, L, D) and ``text_mask`` (N, L), with every video, (N, V)."""
        tokens, weights, mask = self._weigh_tokens(text)
        captions = max(1, self.pairs_at_once // len(videos['frames']))
        split = [x.split(captions) for x in (tokens, weights, mask)]
        return score_chunks(_match_all, [(*part, videos) for part in zip(*split)])

    def pair_similarity(self, text: Features, videos: Features, pairs: Tensor) -> Tensor:
        """Score selected pairs, n * V + v, (P,).

        A chunk of pairs copies their tokens and frames, so it has fewer pairs than one of :meth:`similarity`.
        """
        captions, num_videos = self._weigh_tokens(text), len(videos['frames'])
        length, num_frames = text['tokens'].shape[1], videos['frames'].shape[1]
        copied = (length + num_frames) * text['tokens'].shape[2]
        at_once = max(1, self.pairs_at_once * length * num_frames // copied)

        def score(chunk: Tensor) -> Tensor:
            rows, columns = chunk // num_videos, chunk % num_videos
            tokens, weights, mask = (part[rows] for part in captions)
            return _match_pairs(tokens, weights, mask, take_features(videos, columns))

        return score_chunks(score, [(chunk,) for chunk in pairs.split(at_once)])

    def score_block(self, text: Features, videos: Features) -> Tensor:
        """Score every caption with every video in one chunk, (N, V)."""
        return _match_all(*self._weigh_tokens(text), videos)

    def explain(self, text: Features, frames: Tensor, frame_mask: Tensor) -> PairReasons:
        """Match the tokens of one caption with the frames of one video.

        The score of a frame is its cosine with its best token. The score of the pair is the mean of two
        sums: over the frames, of their scores by their weights, and over the tokens, of the cosines with
        their best frames by their weights.
        """
        frames_alone(frames, frame_mask)  # raises an error unless they are of one video
        videos, keep = self.pool(frames, frame_mask), frame_mask[0].bool()
        tokens, weights, mask = (part[0] for part in self._weigh_tokens(text))
        precise = torch.promote_types(tokens.dtype, torch.float32)
        cosines = tokens[mask].to(precise) @ videos['frames'][0][keep].to(precise).T
        return PairReasons(
            self.similarity(text, videos)[0, 0],
            cosines.amax(dim=0),
            videos['weights'][0][keep],
            cosines,
            weights[mask],
        )

    def _weigh_tokens(self, text: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Return unit-length tokens (N, L, D), their weights (N, L) and their mask (N, L), boolean."""
        tokens, mask = text['tokens'], text['text_mask']
        return F.normalize(tokens, dim=-1), _weigh(self.token_weight, tokens, mask), mask.bool()


def _weigh(network: nn.Module, features: Tensor, mask: Tensor) -> Tensor:
    """Predict weights (B, L) of features (B, L, D) that sum to 1 over the mask (B, L)."""
    scores = network(features).squeeze(-1)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return scores.masked_fill(~mask.bool(), float('-inf')).softmax(dim=-1)


def _weighted_sum(features: Tensor, weights: Tensor) -> Tensor:
    """Add up features (B, L, D) with weights (B, L) that are 0 for padding, with unit length, (B, D)."""
    with torch.autocast(features.device.type, enabled=False):
        return unit_vectors(torch.einsum('bl,bld->bd', weights, features.to(weights.dtype)))


def _match_all(tokens: Tensor, weights: Tensor, mask: Tensor, videos: Features) -> Tensor:
    """Match unit-length tokens (n, L, D) with the unit-length frames of every video, (n, V)."""
    with torch.autocast(tokens.device.type, enabled=False):  # half precision would give ties
        precise = torch.promote_types(tokens.dtype, torch.float32)
        cosines = torch.einsum('nld,vtd->nvlt', tokens.to(precise), videos['frames'].to(precise))
        return _average_best(cosines, weights[:, None], mask[:, None], videos)


def _match_pairs(tokens: Tensor, weights: Tensor, mask: Tensor, videos: Features) -> Tensor:
    """Match the tokens of each pair (P, L, D) with its frames (P, T, D), (P,)."""
    with torch.autocast(tokens.device.type, enabled=False):
        precise = torch.promote_types(tokens.dtype, torch.float32)
        cosines = tokens.to(precise) @ videos['frames'].to(precise).mT
        return _average_best(cosines, weights, mask, videos)


def _average_best(cosines: Tensor, weights: Tensor, mask: Tensor, videos: Features) -> Tensor:
    """Average the best cosine of each token and of each frame.

    Args:
        cosines (Tensor): Cosines of tokens and frames, (..., L, T).
        weights (Tensor): Weights of tokens, (..., L).
        mask (Tensor): False for tokens that are padding, (..., L).
        videos (dict[str, Tensor]): ``weights`` and ``frame_mask``, (..., T).

    Returns:
        Tensor: Similarity, (...).
    """
    frame_mask = videos['frame_mask'].bool()
    best_frame = cosines.masked_fill(~frame_mask[..., None, :], float('-inf')).amax(dim=-1)  # (..., L)
    best_token = cosines.masked_fill(~mask[..., None], float('-inf')).amax(dim=-2)  # (..., T)
    to_video = (best_frame * weights.to(cosines.dtype)).sum(dim=-1)
    to_text = (best_token * videos['weights'].to(cosines.dtype)).sum(dim=-1)
    return (to_video + to_text) / 2
