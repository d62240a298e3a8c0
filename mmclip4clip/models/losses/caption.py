import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class CaptionCrossEntropy(BaseModule):
    """Cross-entropy of each caption's next token, from its first word to its end token.

    The mean is over the tokens of all processes, and so is the value that is logged; with DDP, which
    averages gradients, they are those of one process with the whole batch.

    Args:
        label_smoothing (float): Share of the target that is spread over all tokens, in [0, 1).

    Raises:
        ValueError: If it is not.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f'label_smoothing must be in [0, 1), got {label_smoothing}')
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, tokens: Tensor, text_mask: Tensor) -> dict[str, Tensor]:
        """Compare what was predicted after each token with the next one.

        Args:
            logits (Tensor): What follows each token, (N, L, K).
            tokens (Tensor): Token ids, start first, (N, L).
            text_mask (Tensor): 1 for real tokens, end included; padding is no target, (N, L).

        Returns:
            dict[str, Tensor]: ``loss_caption``.
        """
        real = text_mask[:, 1:].bool()
        summed = F.cross_entropy(
            logits[:, :-1][real].float(),
            tokens[:, 1:][real],
            reduction='sum',
            label_smoothing=self.label_smoothing,
        )
        over_all = torch.stack([summed.detach(), real.sum().to(summed)])
        all_reduce(over_all)
        mean, own = over_all[0] / over_all[1], summed * get_world_size() / over_all[1]
        return dict(loss_caption=own + (mean - own.detach()))  # the gradient is that of this process's share
