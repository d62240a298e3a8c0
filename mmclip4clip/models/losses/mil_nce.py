import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class MILNCELoss(BaseModule):
    """MIL-NCE (arXiv:1912.06430, equation 1): of a video's captions, some may be positives.

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

    def forward(
        self, logits: Tensor, video_index: Tensor, video_key: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compare the pairs of each bag with all other pairs of its video and of its captions.

        Args:
            logits (Tensor): Scaled similarity, (N, V).
            video_index (Tensor): The video of each caption, (N,).
            video_key (Tensor, optional): A number a video, equal for items of the
                same one, whose captions are in each other's bags, (V,).

        Returns:
            dict[str, Tensor]: ``loss_mil_nce``.
        """
        if video_key is None:
            video_key = torch.arange(logits.shape[1], device=logits.device)
        positives = video_key[video_index][:, None] == video_key  # (N, V)
        lowest = torch.finfo(logits.dtype).min
        bags = logits.masked_fill(~positives, lowest).logsumexp(dim=0)  # (V,)
        other_captions = logits.masked_fill(positives, lowest).logsumexp(dim=0)
        other_videos = logits.masked_fill(positives, lowest).logsumexp(dim=1)  # (N,)
        other_videos = torch.where(positives, other_videos[:, None], lowest).logsumexp(dim=0)
        everything = torch.stack([bags, other_captions, other_videos]).logsumexp(dim=0)
        return dict(loss_mil_nce=self.loss_weight * (everything - bags).mean())
