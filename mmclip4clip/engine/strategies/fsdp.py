"""FullyShardedDataParallel with whole checkpoints that resume, on GPUs and on the CPU."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from mmengine._strategy import FSDPStrategy
from mmengine.device import get_device
from mmengine.dist import all_reduce
from mmengine.optim import BaseOptimWrapper
from mmengine.registry import STRATEGIES
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.optim import Optimizer
from transformers.modeling_layers import GradientCheckpointingLayer

from ...models.weight_check import FSDP

OF_OPTIMIZER = ('state', 'param_groups')  # keys of an optimizer's state dict


@contextmanager
def _no_wait_for_missing_gpu() -> Iterator[None]:
    """Let the FSDP of torch 2.2 collect states without a GPU, though it waits for one and logs its memory."""
    if torch.cuda.is_available():
        yield
        return
    with (
        patch.object(torch.cuda, 'synchronize', lambda: None),
        patch.object(torch.cuda, 'memory_summary', str),
    ):
        yield


def wrap_modules(module: nn.Module, recurse: bool, nonwrapped_numel: int, modules: list[nn.Module]) -> bool:
    """Return whether FSDP divides a module by itself, as one of some modules.

    Args:
        module (nn.Module): A part of the model.
        recurse (bool): Whether FSDP asks if it shall look into the part.
        nonwrapped_numel (int): Number of its weights that are not divided yet.
        modules (list[nn.Module]): Those that are.
    """
    return recurse or any(module is one for one in modules)


def tower_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the transformer blocks of a model's encoder, whose ``forward`` is always called as a whole.

    Examples:
        >>> tower_blocks(nn.Linear(2, 2))
        []
    """
    backbone = getattr(model, 'backbone', nn.Identity())
    return [part for part in backbone.modules() if isinstance(part, GradientCheckpointingLayer)]


def check_custom_keys(keys: Iterable[str], names: Iterable[str], wrapped: Iterable[str]) -> None:
    """Check that keys select the same parameters by their names and by those that FSDP gives them.

    Args:
        keys (Iterable[str]): Parts of names.
        names (Iterable[str]): Names of the parameters.
        wrapped (Iterable[str]): Their names under FSDP.

    Raises:
        ValueError: If a key selects others, which would train with the rates of other parameters.

    Examples:
        >>> check_custom_keys(['layers.1.'], ['layers.1.mlp'], ['layers.1._fsdp_wrapped_module.mlp'])
        >>> check_custom_keys(
        ...     ['1.mlp'], ['layers.1.mlp'], ['layers.1._fsdp_wrapped_module.mlp'])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: optim_wrapper.paramwise_cfg.custom_keys '1.mlp' selects other parameters ...
    """
    plain, given = set(names), list(wrapped)
    for key in keys:
        expected = {name for name in plain if key in name}
        if {name.replace(FSDP, '') for name in given if key in name} != expected:
            raise ValueError(
                f'optim_wrapper.paramwise_cfg.custom_keys {key!r} selects other parameters with FSDP: use a '
                'key without the parts of a block, such as layers.11. or adapter'
            )


@STRATEGIES.register_module()
class ResumableFSDPStrategy(FSDPStrategy):
    """Divide weights, gradients and the optimizer's state among the processes.

    ``strategy=dict(type='FSDPStrategy')`` of a config becomes this class. It has the arguments of mmengine's,
    with these differences:

    - Checkpoints are whole (``state_dict_cfg='full'``), in the format of other trainings. Their weights load
      anywhere. Their optimizer state resumes a training with this strategy.
    - Each block of the encoder's towers is divided by itself by default, the rest together.
    - Numbers, such as the logit scale, are not divided, which FSDP does not support. Each process has them,
      and their gradients are averaged.
    - It runs on the CPU, and resumes with torch >= 2.1, which changed the order of arguments that mmengine
      <= 0.10.7 passes to torch.

    Args:
        model_wrapper (dict, optional): Arguments of mmengine's ``MMFullyShardedDataParallel``.
        state_dict_cfg (str): ``'full'``.
        **kwargs: Arguments of mmengine's ``FSDPStrategy``.

    Raises:
        ValueError: If ``state_dict_cfg`` is another one.

    Examples:
        >>> runner_type = 'FlexibleRunner'  # in a config
        >>> strategy = dict(type='FSDPStrategy')
    """

    def __init__(self, *, model_wrapper: dict | None = None, state_dict_cfg: str = 'full', **kwargs) -> None:
        if state_dict_cfg != 'full':
            raise ValueError(
                f"strategy.state_dict_cfg must be 'full', got {state_dict_cfg!r}: checkpoints in parts could "
                'neither be checked nor resumed exactly'
            )
        wrapper = dict(type='MMFullyShardedDataParallel') | dict(model_wrapper or {})
        super().__init__(model_wrapper=wrapper, state_dict_cfg=state_dict_cfg, **kwargs)
        if get_device() == 'cpu':  # to the same device, torch would not copy what it then frees
            self.state_dict_config.offload_to_cpu = self.optim_state_dict_config.offload_to_cpu = False
        self.whole_weights: dict[str, Tensor] = {}  # without values: names and shapes
        self.trained: dict[str, bool] = {}  # by parameter
        self.scalars: list[nn.Parameter] = []

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Build the model, and note the shapes of its weights before they are divided."""
        built = super().build_model(model)
        self.whole_weights = {key: value.to('meta') for key, value in built.state_dict().items()}
        self.trained = {name: parameter.requires_grad for name, parameter in built.named_parameters()}
        return built

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        """Wrap the model; the default device of mmengine is a GPU."""
        if get_device() == 'cpu':
            self.model_wrapper.setdefault('device_id', torch.device('cpu'))
        policy = partial(wrap_modules, modules=tower_blocks(model))
        self.model_wrapper.setdefault('auto_wrap_policy', policy)
        self.scalars = [parameter for parameter in model.parameters() if not parameter.ndim]
        for parameter in self.scalars:  # FSDP moves and divides what it does not ignore
            parameter.data = parameter.data.to(get_device())
        self.model_wrapper['ignored_states'] = self.scalars
        return super()._wrap_model(model)

    def build_optim_wrapper(
        self, optim_wrapper: Optimizer | BaseOptimWrapper | dict, model: nn.Module | None = None
    ) -> BaseOptimWrapper:
        """Build the optimizer wrapper, which averages the gradients that FSDP leaves to the processes.

        Raises:
            ValueError: If ``custom_keys`` of ``paramwise_cfg`` do not apply to the names that FSDP gives.
        """
        if isinstance(optim_wrapper, dict) and model is not None:
            keys = (optim_wrapper.get('paramwise_cfg') or {}).get('custom_keys') or ()
            check_custom_keys(keys, self.trained, [name for name, _ in model.named_parameters()])
        built = super().build_optim_wrapper(optim_wrapper, model)
        built.optimizer.register_step_pre_hook(self._average_scalars)
        return built

    def _average_scalars(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        for parameter in self.scalars:
            if parameter.grad is not None:
                all_reduce(parameter.grad, 'mean')

    def optim_state_dict(self) -> dict[str, Any]:
        """Collect the optimizer's state in the main process, by the names of the parameters."""
        wrapper = self.optim_wrapper
        with _no_wait_for_missing_gpu():
            state = FullyShardedDataParallel.optim_state_dict(self.model, wrapper.optimizer)
        others = {
            key: value for key, value in wrapper.state_dict().items() if key not in ('state', 'param_groups')
        }
        return {**state, **others}

    def load_optim_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the optimizer's state, each process its part.

        Raises:
            RuntimeError: If the state is not by the names of parameters, as a training without FSDP saves it.
        """
        if any(isinstance(key, int) for key in state_dict.get('state', {})):
            raise RuntimeError(
                'a training without FSDP saved this checkpoint: its optimizer state cannot be divided. '
                'Resume without strategy, or start a new training from its weights with load_from'
            )
        own = {key: state_dict[key] for key in OF_OPTIMIZER}
        divided = FullyShardedDataParallel.optim_state_dict_to_load(
            self.model, self.optim_wrapper.optimizer, own
        )
        self.optim_wrapper.load_state_dict({**_without_tensors(state_dict), **divided})


def _without_tensors(state_dict: dict[str, Any]) -> dict[str, Any]:
    """Return what an optimizer wrapper saves beside the state of its optimizer."""
    return {key: value for key, value in state_dict.items() if key not in OF_OPTIMIZER}
