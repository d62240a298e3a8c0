from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers.activations import QuickGELUActivation

FACTOR = 1.702


class _QuickGELU(torch.autograd.Function):
    """Keep the input only, where autograd keeps the sigmoid beside it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(FACTOR * x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        # The derivative of x sigmoid(a x) is that of SiLU at a x.
        return torch.ops.aten.silu_backward(grad, FACTOR * x)


class QuickGELU(nn.Module):
    """CLIP's activation, x sigmoid(1.702 x), with less memory and time in training.

    The outputs are bit for bit those of ``transformers``, and the gradients are equal up to rounding.

    Examples:
        >>> import torch
        >>> x = torch.ones(1, requires_grad=True)
        >>> bool(QuickGELU()(x) == torch.sigmoid(1.702 * x))
        True
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of a tensor of any shape."""
        if x.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return _QuickGELU.apply(x)
        return x * torch.sigmoid(FACTOR * x)


def replace_quick_gelu(model: nn.Module) -> None:
    """Replace the activations of ``transformers`` in all blocks of a model by :class:`QuickGELU`.

    Args:
        model (nn.Module): Dual encoder, changed in place. Other activations stay as they are.
    """
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is QuickGELUActivation:
                setattr(module, name, QuickGELU())
