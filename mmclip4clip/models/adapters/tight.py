import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from ..backbones import CLIPBackbone
from ..features import Features, vectors
from .base import mean_of_frames, unit_vectors
from .pair_reasons import PairReasons, frames_alone
from .pairwise_transformer import first_block, last_block, middle_block, prepare_captions, prepare_videos
from .rerankable import RerankableAdapter, score_chunks
from .sequence_transformer import SequenceTransformer


@MODELS.register_module()
class TightAdapter(RerankableAdapter):
    """Score pairs by a transformer that reads a caption and the frames of a video together.

    The tight similarity of CLIP4Clip (arXiv:2104.08860, section 3.3), the reference's ``tightTransf``. The
    caption and the frames form one sequence with positions, and two linear layers turn the first output
    into the score. There is no logit scale. The paper's text and the reference's code differ in the rest:

    ===============  ==============================  ==========================================
    ``variant``      added to the sequence           from the first output h to the score
    ===============  ==============================  ==========================================
    ``'reference'``  positions                       ``score(QuickGELU(pool_proj(LayerNorm(h))))``
    ``'paper'``      positions, and a type           ``score(ReLU(pool_proj(h)))``
                     embedding: caption or frame
    ===============  ==============================  ==========================================

    All pairs are scored, in chunks of ``pairs_at_once``. If there are several chunks, training recomputes
    them in the backward pass to bound memory.

    Args:
        width (int): Width D of the frame features.
        num_layers (int): Number of transformer blocks, at least 1.
        num_heads (int, optional): Attention heads; one per 64 channels if None.
        max_frames (int): Maximum number of frames. The caption has one more position embedding.
        dropout (float): Dropout after the positions are added. All pairs of a caption share its
            dropout mask, and so do all pairs of a video.
        start (str): ``'clip_text'`` or ``'random'``, see :class:`SequenceTransformer`.
        pairs_at_once (int): Pairs per chunk. At D=512 and T=12, 128 pairs take about 0.1 GiB.
        intermediate_size (int, optional): Width of the feed-forward layers; 4 D if None.
        variant (str): ``'reference'``, the head of the reference's code and its checkpoints, or
            ``'paper'``, the head of the paper's text.

    Raises:
        ValueError: If an argument is out of range, or ``start`` or ``variant`` is unknown.

    Examples:
        >>> import torch
        >>> adapter = TightAdapter(width=64, num_layers=1, max_frames=3, start='random')
        >>> videos = adapter.encode(torch.rand(2, 3, 64), torch.tensor([[1, 1, 1], [1, 1, 0]]))
        >>> adapter.similarity(dict(text=torch.rand(5, 64)), videos).shape
        torch.Size([5, 2])
    """

    uses_logit_scale = False

    def __init__(
        self,
        width: int = 512,
        num_layers: int = 4,
        num_heads: int | None = None,
        max_frames: int = 76,
        dropout: float = 0.1,
        start: str = 'clip_text',
        pairs_at_once: int = 128,
        intermediate_size: int | None = None,
        variant: str = 'reference',
    ) -> None:
        super().__init__()
        if num_layers < 1 or pairs_at_once < 1:
            raise ValueError(
                'num_layers and pairs_at_once of TightAdapter must be at least 1, got '
                f'{num_layers} and {pairs_at_once}'
            )
        if variant not in ('reference', 'paper'):
            raise ValueError(f"variant of TightAdapter must be 'reference' or 'paper', got {variant!r}")
        self.variant = variant
        self.transformer = SequenceTransformer(
            width, num_layers, num_heads, max_frames + 1, start, intermediate_size
        )
        self.dropout = nn.Dropout(dropout)
        if variant == 'paper':
            self.types = nn.Embedding(2, width)  # of the caption and of frames
            nn.init.normal_(self.types.weight, std=0.02)  # as in BERT
        else:
            self.pool_norm = nn.LayerNorm(width, eps=1e-12)
        self.pool_proj, self.score = nn.Linear(width, width), nn.Linear(width, 1)
        self.pairs_at_once = pairs_at_once
        for layer in (self.pool_proj, self.score):  # as in BERT and the reference
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    @property
    def max_frames(self) -> int:
        """Maximum number of frames per video; the caption takes one position."""
        return len(self.transformer.positions.weight) - 1

    def init_from_clip(self, backbone: CLIPBackbone) -> None:
        """Copy the lowest blocks of CLIP's text tower, see :class:`SequenceTransformer`."""
        self.transformer.init_from_clip(backbone)

    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Return ``frames`` (V, T, D) and ``frame_mask`` (V, T) as they are."""
        self.transformer.check_length(frames.shape[1], others=1)
        return dict(frames=frames, frame_mask=frame_mask)

    def cheap_text(self, text: Features) -> Tensor:
        """Return each caption's vector, ``text`` (N, D), with unit length."""
        return unit_vectors(vectors(text))

    def cheap_video(self, videos: Features) -> Tensor:
        """Return the mean of the frames of each video, ``frames`` (V, T, D), with unit length, (V, D)."""
        return mean_of_frames(**videos)

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Score every caption, ``text`` (N, D), with every video, ``frames`` (V, T, D), (N, V)."""
        num_captions, num_videos = len(vectors(text)), len(videos['frames'])
        pairs = torch.arange(num_captions * num_videos, device=videos['frames'].device)
        return self.pair_similarity(text, videos, pairs).view(num_captions, num_videos)

    def pair_similarity(self, text: Features, videos: Features, pairs: Tensor) -> Tensor:
        """Score selected pairs of captions and videos.

        Args:
            text (dict[str, Tensor]): Caption features, not normalized, ``text`` (N, D).
            videos (dict[str, Tensor]): ``frames`` (V, T, D), ``frame_mask`` (V, T).
            pairs (Tensor): The pairs, as indices n * V + v, (P,).

        Returns:
            Tensor: Similarity of each pair, (P,).
        """
        num_videos = len(videos['frames'])
        captions, clips = self._prepare(text, videos)
        return score_chunks(
            self._score,
            [
                (captions, clips, part // num_videos, part % num_videos)
                for part in pairs.split(self.pairs_at_once)
            ],
        )

    def score_block(self, text: Features, videos: Features) -> Tensor:
        """Score every caption with every video in one chunk, (N, V)."""
        num_captions, num_videos = vectors(text).shape[0], videos['frames'].shape[0]
        pairs = torch.arange(num_captions * num_videos, device=videos['frames'].device)
        rows, columns = torch.div(pairs, num_videos, rounding_mode='floor'), pairs % num_videos
        return self._score(*self._prepare(text, videos), rows, columns).view(num_captions, num_videos)

    def explain(self, text: Features, frames: Tensor, frame_mask: Tensor) -> PairReasons:
        """Score each frame alone, at its own position: the transformer does not see the other frames.

        The scores of frames have the unit of the score of the pair, but no sum of them is that score: what
        the transformer reads from several frames, such as their order, is in no frame alone.
        """
        count = len(frames_alone(frames, frame_mask)[0])
        videos = self.pool(frames, frame_mask)
        only = torch.diag(frame_mask[0])[frame_mask[0].bool()]  # (R, T), one real frame a row
        alone = dict(frames=videos['frames'].expand(count, -1, -1), frame_mask=only)
        return PairReasons(self.similarity(text, videos)[0, 0], self.similarity(text, alone)[0])

    def _prepare(self, text: Features, videos: Features) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Compute the parts of the first block that depend on captions alone, and on videos alone."""
        block, frames = self.transformer.layers[0], videos['frames']
        added = self._embeddings(1 + frames.shape[1])
        captions = prepare_captions(block, self.dropout(vectors(text) + added[0]))
        return captions, prepare_videos(block, self.dropout(frames + added[1:]), videos['frame_mask'])

    def _embeddings(self, length: int) -> Tensor:
        """Return what is added to a sequence of a caption and ``length - 1`` frames, (length, D)."""
        positions = self.transformer.positions.weight[:length]
        if self.variant == 'reference':
            return positions
        types = self.types.weight
        return positions + torch.cat([types[:1], types[1:].expand(length - 1, -1)])

    def _score(
        self, captions: dict[str, Tensor], clips: dict[str, Tensor], rows: Tensor, columns: Tensor
    ) -> Tensor:
        """Score the pairs of prepared captions ``rows`` (P,) and prepared videos ``columns`` (P,), (P,)."""
        first, *middle = self.transformer.layers
        text = {key: value[rows] for key, value in captions.items()}
        video = {key: value[columns] for key, value in clips.items()}
        mask = torch.cat([video['mask'].new_ones(rows.shape[0], 1), video['mask']], dim=1)  # (P, 1 + T)
        if not middle:
            pooled = last_block(first, torch.cat([text['hidden'][:, None], video['hidden']], dim=1), mask)
        else:
            hidden = first_block(first, text, video)
            for block in middle[:-1]:
                hidden = middle_block(block, hidden, mask)
            pooled = last_block(middle[-1], hidden, mask)
        return self._output(pooled)

    def _output(self, first: Tensor) -> Tensor:
        """Turn the first outputs of the transformer (P, D) into scores (P,)."""
        if self.variant == 'reference':
            first = self.pool_norm(first)
        pooled = self.pool_proj(first)
        with torch.autocast(pooled.device.type, enabled=False):  # half precision would give ties
            pooled = pooled.to(torch.promote_types(pooled.dtype, torch.float32))
            if self.variant == 'reference':
                return self.score(pooled * torch.sigmoid(1.702 * pooled)).squeeze(-1)
            return self.score(pooled.relu()).squeeze(-1)
