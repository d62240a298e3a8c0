import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import BaseModule
from torch import Tensor


@MODELS.register_module()
class CaptionCrossEntropy(BaseModule):
    """Next-token cross-entropy of captions, from the first word to the end token.

    The loss is the mean over the tokens of all processes. DDP averages gradients, so the gradients equal
    those of one process with the whole batch.

    Args:
        label_smoothing (float): Share of the target that is spread over all tokens, in [0, 1).

    Raises:
        ValueError: If ``label_smoothing`` is out of range.

    Examples:
        >>> import torch
        >>> tokens = torch.tensor([[0, 1, 2]])
        >>> logits = torch.zeros(1, 3, 4)  # four tokens with equal probability: log(4)
        >>> CaptionCrossEntropy()(logits, tokens, torch.ones(1, 3))
        {'loss_caption': tensor(1.3863)}
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f'label_smoothing must be in [0, 1), got {label_smoothing}')
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, tokens: Tensor, text_mask: Tensor) -> dict[str, Tensor]:
        """Compare the prediction at each token with the next token.

        Args:
            logits (Tensor): Logits of the token after each position, (N, L, K).
            tokens (Tensor): Token ids, start first, (N, L).
            text_mask (Tensor): 1 for real tokens, including the end token, 0 for padding, (N, L).

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
        totals = torch.stack([summed.detach(), real.sum().to(summed)])
        all_reduce(totals)
        mean, local = totals[0] / totals[1], summed * get_world_size() / totals[1]
        return dict(
            loss_caption=local + (mean - local.detach())
        )  # value of all processes, gradient of this one
