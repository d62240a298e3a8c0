from typing import Dict, Optional

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class MILNCELoss(BaseModule):
    """MIL-NCE (arXiv:1912.06430, equation 1): of a video's captions, some may be right.

    The loss of CLIP4Clip's post-pretraining on narrations, which are often not of what
    is to be seen. The captions of a video are a bag: together they are to outweigh the
    video's pairs with other captions and their pairs with other videos. With one caption a
    video it is the cross-entropy over both directions at once.

    Args:
        loss_weight (float): Factor on the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, owner: Tensor, identity: Optional[Tensor] = None) -> Dict[str, Tensor]:
        """Compare the pairs of each bag with all other pairs of its video and of its captions.

        Args:
            logits (Tensor): Scaled similarity, (N, V).
            owner (Tensor): The video of each caption, (N,).
            identity (Tensor, optional): A number a video, equal for items of the
                same one, whose captions are in each other's bags, (V,).

        Returns:
            dict[str, Tensor]: ``loss_mil_nce``.
        """
        if identity is None:
            identity = torch.arange(logits.shape[1], device=logits.device)
        right = identity[owner][:, None] == identity  # (N, V)
        lowest = torch.finfo(logits.dtype).min
        bags = logits.masked_fill(~right, lowest).logsumexp(dim=0)  # (V,)
        other_captions = logits.masked_fill(right, lowest).logsumexp(dim=0)
        other_videos = logits.masked_fill(right, lowest).logsumexp(dim=1)  # (N,)
        other_videos = torch.where(right, other_videos[:, None], lowest).logsumexp(dim=0)
        everything = torch.stack([bags, other_captions, other_videos]).logsumexp(dim=0)
        return dict(loss_mil_nce=self.loss_weight * (everything - bags).mean())
