import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from .blocks import check_block_size, compare_in_blocks
from .gather import gather_with_grad


@MODELS.register_module()
class SymmetricContrastiveLoss(BaseModule):
    """Mean of the cross-entropies from captions to videos and from videos to captions.

    CLIP4Clip's loss (arXiv:2104.08860, section 3.4). If a video has several captions in the batch, its
    target is spread evenly over them.

    Args:
        loss_weight (float): Factor on both terms.
        same_video (str): How two items of the same video in a batch are treated: as a ``'positive'`` pair,
            or as a ``'negative'`` pair, as the reference does.
        block_size (int, optional): Compare so many captions at a time with all videos, so that the matrix of
            all pairs never exists (arXiv:2410.17243). The loss and its gradients are the same up to
            rounding. Only for adapters that compare by the cosine. By default the matrix is whole.

    Raises:
        ValueError: If ``same_video`` or ``block_size`` has another value.

    Examples:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])  # each caption scores highest with its video
        >>> SymmetricContrastiveLoss()(logits, video_index=torch.tensor([0, 1]))
        {'loss_t2v': tensor(0.0635), 'loss_v2t': tensor(0.0635)}
    """

    def __init__(
        self, loss_weight: float = 1.0, same_video: str = 'positive', block_size: int | None = None
    ) -> None:
        super().__init__()
        if same_video not in ('positive', 'negative'):
            raise ValueError(f"same_video must be 'positive' or 'negative', got {same_video!r}")
        self.loss_weight, self.same_video = loss_weight, same_video
        self.block_size = check_block_size(block_size)

    def forward(
        self, logits: Tensor, video_index: Tensor, video_key: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compare every caption with every video of the batch.

        Args:
            logits (Tensor): Scaled similarity, (N, V).
            video_index (Tensor): The video of each caption, (N,).
            video_key (Tensor, optional): A number per video, equal for items of the same video, (V,). By
                default all videos are different.

        Returns:
            dict[str, Tensor]: ``loss_t2v`` and ``loss_v2t``, whose sum is the loss.
        """
        keys = self._keys(video_key, logits.shape[1], logits.device)
        positives = (keys[video_index][:, None] == keys).to(logits.dtype)  # (N, V)
        half = self.loss_weight / 2
        return dict(
            loss_t2v=half * _cross_entropy(logits, positives),
            loss_v2t=half * _cross_entropy(logits.T, positives.T),
        )

    def forward_in_blocks(
        self,
        text: Tensor,
        videos: Tensor,
        scale: Tensor,
        video_index: Tensor,
        video_key: Tensor | None = None,
        gathered: bool = False,
    ) -> dict[str, Tensor]:
        """Compute the loss of :meth:`forward` from features, ``block_size`` captions at a time.

        Args:
            text (Tensor): Caption features of unit length, (N, D).
            videos (Tensor): Video features of unit length, (V, D).
            scale (Tensor): Factor on the cosine.
            video_index (Tensor): The video of each caption, (N,).
            video_key (Tensor, optional): See :meth:`forward`, (V,).
            gathered (bool): Whether the videos are those of all processes, and the captions of this one.

        Returns:
            dict[str, Tensor]: ``loss_t2v`` and ``loss_v2t`` of all processes.
        """
        keys = self._keys(video_key, len(videos), videos.device)
        blocks = compare_in_blocks(
            _compare_block, text, videos, scale, keys[video_index], keys, self.block_size
        )
        rows, columns, sums, counts = map(torch.cat, blocks)
        if gathered:
            rows, columns, sums, counts = map(gather_with_grad, (rows, columns, sums, counts))
        counts = counts.sum(dim=0)
        v2t = torch.where(counts > 0, columns.logsumexp(dim=0) - sums.sum(dim=0) / counts.clamp(min=1), 0.0)
        half = self.loss_weight / 2
        return dict(loss_t2v=half * rows.mean(), loss_v2t=half * v2t.mean())

    def _keys(self, video_key: Tensor | None, number: int, device: torch.device) -> Tensor:
        if video_key is None or self.same_video == 'negative':
            return torch.arange(number, device=device)
        return video_key


def _cross_entropy(logits: Tensor, positives: Tensor) -> Tensor:
    """Compute the cross-entropy of rows of logits; targets are spread evenly over ``positives`` (0 or 1)."""
    return F.cross_entropy(logits, positives / positives.sum(dim=1, keepdim=True).clamp(min=1))


def _compare_block(logits: Tensor, positives: Tensor) -> tuple[Tensor, ...]:
    """Return what the loss needs of a block of logits (n, V) with its ``positives`` (bool).

    Returns:
        tuple: The cross-entropy of each row, (n,), and of each column the log of the sum of exponentials, the
            sum of the positives, and their number, (1, V).
    """
    chosen = torch.where(positives, logits, 0.0)
    rows = logits.logsumexp(dim=1) - chosen.sum(dim=1) / positives.sum(dim=1)
    columns = logits.logsumexp(dim=0, keepdim=True)
    return rows, columns, chosen.sum(dim=0, keepdim=True), positives.sum(dim=0, keepdim=True)
