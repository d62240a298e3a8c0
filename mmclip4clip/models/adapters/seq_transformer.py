from mmaction.registry import MODELS
from torch import Tensor

from ..backbones import CLIPBackbone
from .base import PooledAdapter
from .sequence_transformer import SequenceTransformer


@MODELS.register_module()
class SeqTransformerAdapter(PooledAdapter):
    """Run a small transformer over the frames of a video, then average them.

    The sequential similarity of CLIP4Clip (arXiv:2104.08860, section 3.3), the
    reference's ``seqTransf``: frame positions, pre-norm transformer blocks, and
    a residual from the input before the mean of :class:`MeanAdapter`.

    Args:
        width (int): Width D of the frame features.
        num_layers (int): Transformer blocks.
        num_heads (int, optional): Attention heads; one per 64 channels if None.
        max_frames (int): Maximum number of frames, which is the number of position embeddings.
        start (str): ``'clip_text'`` or ``'random'``, see :class:`SequenceTransformer`.
        intermediate_size (int, optional): Width of the feed-forward layers; 4 D if None.

    Raises:
        ValueError: If ``width`` is not a multiple of ``num_heads``, or ``start`` is unknown.

    Examples:
        >>> import torch
        >>> adapter = SeqTransformerAdapter(width=64, num_layers=1, max_frames=4, start='random')
        >>> videos = adapter.encode(torch.rand(2, 3, 64), torch.tensor([[1, 1, 1], [1, 1, 0]]))
        >>> adapter.similarity(dict(text=torch.rand(5, 64)), videos).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        width: int = 512,
        num_layers: int = 4,
        num_heads: int | None = None,
        max_frames: int = 77,
        start: str = 'clip_text',
        intermediate_size: int | None = None,
    ) -> None:
        super().__init__()
        self.transformer = SequenceTransformer(
            width, num_layers, num_heads, max_frames, start, intermediate_size
        )

    @property
    def max_frames(self) -> int:
        """Maximum number of frames per video."""
        return len(self.transformer.positions.weight)

    def init_from_clip(self, backbone: CLIPBackbone) -> None:
        """Copy the lowest blocks of CLIP's text tower, see :class:`SequenceTransformer`."""
        self.transformer.init_from_clip(backbone)

    def contextualize(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Add the output of the transformer to the frames, (V, T, D)."""
        return frames + self.transformer(frames, frame_mask)
