import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class SymmetricContrastiveLoss(BaseModule):
    """Mean of the cross-entropies from captions to videos and from videos to captions.

    CLIP4Clip's loss (arXiv:2104.08860, section 3.4). A video with several
    captions in the batch wants them all alike: its target is spread evenly.

    Args:
        loss_weight (float): Factor on both terms.
        same_video (str): What two items of one video are to each other, where
            both are in the batch: ``'positive'``, right answers alike, or
            ``'negative'``, wrong ones, which is the reference's rule.

    Raises:
        ValueError: If ``same_video`` is neither.
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
            video_key (Tensor, optional): A number a video, equal for items of
                the same one, (V,). None takes all as different.

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
    """Compare rows of logits with targets spread evenly over the right answers, 1 in ``positives``."""
    return F.cross_entropy(logits, positives / positives.sum(dim=1, keepdim=True).clamp(min=1))
