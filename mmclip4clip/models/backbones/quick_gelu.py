from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import QuickGELUActivation

FACTOR = 1.702
COMPILING = getattr(torch.compiler, 'is_compiling', bool)  # torch 2.2 has none


class _QuickGELU(torch.autograd.Function):
    """Keep the input only, where autograd keeps the sigmoid beside it."""

    generate_vmap_rule = True  # for torch.func

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.mul(x, FACTOR).sigmoid_().mul_(x)  # in place: new memory takes more time than numbers

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    # Compiled by itself, it would read its input twice, which a checkpoint allows once.
    @staticmethod
    @torch.compiler.disable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        # The derivative of x sigmoid(a x) is that of SiLU at a x.
        if not torch.is_grad_enabled():
            scaled = FACTOR * x
            try:
                return torch.ops.aten.silu_backward.grad_input(grad, scaled, grad_input=scaled)
            except RuntimeError:  # vmap, which takes many gradients at once, has no rule for it
                return torch.ops.aten.silu_backward(grad, scaled)
        share = torch.sigmoid(FACTOR * x)  # the gradient itself is differentiated (create_graph)
        return grad * share * (1 + FACTOR * x * (1 - share))


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
        traced = COMPILING() or torch.jit.is_tracing()
        if x.requires_grad and torch.is_grad_enabled() and not traced:
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
