from collections.abc import Callable, Iterable
from typing import overload

import torch
from mmaction.registry import OPTIMIZERS
from torch import Tensor
from torch.optim import Optimizer


@OPTIMIZERS.register_module()
class BertAdam(Optimizer):
    """Adam as in BERT's original code, which CLIP4Clip's reference uses.

    It differs from AdamW in three ways: the moments have no bias correction, so the first updates are the
    largest; ``eps`` is larger; and the gradient of each tensor is clipped by its norm. As in AdamW, the decay
    is added to the update, so the learning rate scales both. Clipping does not modify the gradients. The
    optimizer has no schedule: set ``lr`` with a parameter scheduler of mmengine.

    Args:
        params (Iterable): Parameters, or groups of them.
        lr (float): Learning rate.
        betas (tuple[float, float]): Decay of the first and the second moment.
        eps (float): Added to the root of the second moment.
        weight_decay (float): Factor on the weights in the update.
        max_grad_norm (float, optional): Maximum gradient norm of each tensor; None disables clipping.

    Raises:
        ValueError: If an argument is out of range.

    Examples:
        >>> import torch
        >>> from mmclip4clip.engine import BertAdam
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = BertAdam([weight], lr=0.1, weight_decay=0.01)
        >>> weight.sum().backward()
        >>> optimizer.step()
        >>> bool((weight < 1).all())
        True
    """

    def __init__(
        self,
        params: Iterable,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = 1.0,
    ) -> None:
        for name, value in dict(lr=lr, eps=eps, weight_decay=weight_decay).items():
            if not value >= 0:
                raise ValueError(f'BertAdam needs {name} >= 0, got {value}')
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f'BertAdam needs betas from 0 to below 1, got {betas}')
        if max_grad_norm is not None and not max_grad_norm > 0:
            raise ValueError(f'BertAdam needs max_grad_norm > 0 or None (no clipping), got {max_grad_norm}')
        super().__init__(
            params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, max_grad_norm=max_grad_norm)
        )

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; ``closure`` may compute it first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, **group)
        return loss

    def _update(
        self,
        parameter: Tensor,
        grad: Tensor,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        max_grad_norm: float | None,
        **_,
    ) -> None:
        state = self.state[parameter]
        if not state:
            state['exp_avg'] = torch.zeros_like(parameter)
            state['exp_avg_sq'] = torch.zeros_like(parameter)
        mean, square = state['exp_avg'], state['exp_avg_sq']
        if max_grad_norm is not None:  # by the rule of torch's clip_grad_norm_
            grad = grad * (max_grad_norm / (grad.norm() + 1e-6)).clamp(max=1)
        mean.mul_(betas[0]).add_(grad, alpha=1 - betas[0])
        square.mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
        update = mean / (square.sqrt() + eps)
        parameter.add_(update.add_(parameter, alpha=weight_decay), alpha=-lr)
