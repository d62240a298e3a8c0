from typing import Dict

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
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, owner: Tensor) -> Dict[str, Tensor]:
        """Compare every caption with every video of the batch.

        Args:
            logits (Tensor): Scaled similarity, (N, V).
            owner (Tensor): The video of each caption, (N,).

        Returns:
            dict[str, Tensor]: ``loss_t2v`` and ``loss_v2t``, whose sum is the loss.
        """
        own = owner == torch.arange(logits.shape[1], device=owner.device)[:, None]  # (V, N)
        target = own / own.sum(dim=1, keepdim=True).clamp(min=1)
        half = self.loss_weight / 2
        return dict(
            loss_t2v=half * F.cross_entropy(logits, owner),
            loss_v2t=half * F.cross_entropy(logits.T, target.to(logits.dtype)))
