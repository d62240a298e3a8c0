import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class SymmetricContrastiveLoss(BaseModule):
    """Mean of the cross-entropies from captions to videos and from videos to captions.

    CLIP4Clip's loss (arXiv:2104.08860, section 3.4). If a video has several captions in the batch, its
    target is spread evenly over them.

    Args:
        loss_weight (float): Factor on both terms.
        same_video (str): How two items of the same video in a batch are treated: as a ``'positive'`` pair,
            or as a ``'negative'`` pair, as the reference does.

    Raises:
        ValueError: If ``same_video`` has another value.

    Examples:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])  # each caption scores highest with its video
        >>> SymmetricContrastiveLoss()(logits, video_index=torch.tensor([0, 1]))
        {'loss_t2v': tensor(0.0635), 'loss_v2t': tensor(0.0635)}
    """

    def __init__(self, loss_weight: float = 1.0, same_video: str = 'positive') -> None:
        super().__init__()
        if same_video not in ('positive', 'negative'):
            raise ValueError(f"same_video must be 'positive' or 'negative', got {same_video!r}")
        self.loss_weight, self.same_video = loss_weight, same_video

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
        if video_key is None or self.same_video == 'negative':
            video_key = torch.arange(logits.shape[1], device=logits.device)
        positives = (video_key[video_index][:, None] == video_key).to(logits.dtype)  # (N, V)
        half = self.loss_weight / 2
        return dict(
            loss_t2v=half * _cross_entropy(logits, positives),
            loss_v2t=half * _cross_entropy(logits.T, positives.T),
        )


def _cross_entropy(logits: Tensor, positives: Tensor) -> Tensor:
    """Compute the cross-entropy of rows of logits; targets are spread evenly over ``positives`` (0 or 1)."""
    return F.cross_entropy(logits, positives / positives.sum(dim=1, keepdim=True).clamp(min=1))
