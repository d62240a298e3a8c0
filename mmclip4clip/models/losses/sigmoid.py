import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from .blocks import check_block_size, compare_in_blocks
from .gather import gather_with_grad


@MODELS.register_module()
class SigmoidLoss(BaseModule):
    """SigLIP's loss (arXiv:2303.15343, algorithm 1): each pair is a positive or a negative one by itself.

    The logits are the scaled similarity plus a learned bias. The loss is the sum over all pairs, divided by
    the number of captions.

    Args:
        loss_weight (float): Factor on the loss.
        init_bias (float): The bias at the start, unless the backbone has one from its pretraining. SigLIP
            starts at -10, because most pairs are negative.
        same_video (str): See :class:`SymmetricContrastiveLoss`.
        block_size (int, optional): See :class:`SymmetricContrastiveLoss`.

    Raises:
        ValueError: If ``same_video`` or ``block_size`` has another value.

    Examples:
        >>> import torch
        >>> logits = torch.tensor([[20.0, 0.0], [0.0, 20.0]])
        >>> SigmoidLoss(init_bias=-10)(logits, video_index=torch.tensor([0, 1]))['loss_sigmoid'].item() < 1e-3
        True
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        init_bias: float = -10.0,
        same_video: str = 'positive',
        block_size: int | None = None,
    ) -> None:
        super().__init__()
        if same_video not in ('positive', 'negative'):
            raise ValueError(f"same_video must be 'positive' or 'negative', got {same_video!r}")
        self.loss_weight, self.same_video = loss_weight, same_video
        self.block_size = check_block_size(block_size)
        self.logit_bias = nn.Parameter(torch.tensor(float(init_bias)))

    def init_from_clip(self, backbone: BaseModule) -> None:
        """Start from the bias of a backbone that was pretrained with this loss, if it has one."""
        bias = getattr(getattr(backbone, 'clip', None), 'logit_bias', None)
        if bias is not None:
            with torch.no_grad():
                self.logit_bias.copy_(bias.reshape(()))

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
            dict[str, Tensor]: ``loss_sigmoid``.
        """
        keys = self._keys(video_key, logits.shape[1], logits.device)
        (summed,) = self._sum_block(logits, keys[video_index][:, None] == keys)
        return dict(loss_sigmoid=self.loss_weight * summed.sum() / len(logits))

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

        See :meth:`SymmetricContrastiveLoss.forward_in_blocks` for the arguments.

        Returns:
            dict[str, Tensor]: ``loss_sigmoid`` of all processes.
        """
        keys = self._keys(video_key, len(videos), videos.device)
        (parts,) = compare_in_blocks(
            self._sum_block, text, videos, scale, keys[video_index], keys, self.block_size
        )
        rows = torch.cat(parts)
        rows = gather_with_grad(rows) if gathered else rows
        return dict(loss_sigmoid=self.loss_weight * rows.sum() / len(rows))

    def _sum_block(self, logits: Tensor, positives: Tensor) -> tuple[Tensor]:
        """Return the loss of each caption with all videos, (n,), of logits and ``positives``, (n, V)."""
        shifted = logits + self.logit_bias
        return (F.softplus(torch.where(positives, -shifted, shifted)).sum(dim=1),)

    def _keys(self, video_key: Tensor | None, number: int, device: torch.device) -> Tensor:
        if video_key is None or self.same_video == 'negative':
            return torch.arange(number, device=device)
        return video_key
