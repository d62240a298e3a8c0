import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class MILNCELoss(BaseModule):
    """MIL-NCE loss (arXiv:1912.06430, equation 1), for videos of which only some captions match.

    CLIP4Clip's post-pretraining uses it for narrations, which often do not describe what is visible. The
    captions of a video form a bag. The sum over the bag is contrasted with the video's pairs with other
    captions and with the bag's pairs with other videos. With one caption per video it is one cross-entropy
    over both directions.

    Args:
        loss_weight (float): Factor on the loss.

    Examples:
        >>> import torch
        >>> logits = torch.tensor([[100.0, 0.0], [0.0, 0.0], [0.0, 100.0]])
        >>> MILNCELoss()(logits, video_index=torch.tensor([0, 0, 1]))  # caption 1 matches no video
        {'loss_mil_nce': tensor(0.)}
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, logits: Tensor, video_index: Tensor, video_key: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Contrast the pairs of each bag with all other pairs of its video and of its captions.

        Args:
            logits (Tensor): Scaled similarity, (N, V).
            video_index (Tensor): The video of each caption, (N,).
            video_key (Tensor, optional): A number per video, equal for items of the same video, (V,). The
                captions of such items share a bag.

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
        all_pairs = torch.stack([bags, other_captions, other_videos]).logsumexp(dim=0)
        return dict(loss_mil_nce=self.loss_weight * (all_pairs - bags).mean())
