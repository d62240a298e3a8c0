from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from ..lora_weights import is_lora
from .patch3d import Patch3d
from .towers import PROJECTIONS, TOWERS, read_towers, tower_blocks

ADAPTER = 'default'  # the name that peft gives to the only LoRA of a layer
RENAMED = {'base_layer.': '', f'lora_A.{ADAPTER}.': 'lora_A.', f'lora_B.{ADAPTER}.': 'lora_B.'}
ALL_LINEAR = 'all-linear'
# Query and value of the attention, as in the paper, by the names of the models of transformers.
QUERY_AND_VALUE = ('q_proj', 'v_proj', 'query', 'value')


@dataclass(frozen=True)
class LoRAOptions:
    """Options of LoRA (arXiv:2106.09685): a trained product of two narrow matrices beside frozen weights.

    Args:
        towers (str | Sequence[str]): ``'vision'``, ``'text'`` or both.
        r (int): Rank, the width between the two matrices.
        alpha (float): The product is multiplied by ``alpha / r``.
        dropout (float): Dropout on the inputs of the product, in training.
        target_modules (str | Sequence[str], optional): Linear layers of the blocks, by the ends of their
            names, such as ``['q_proj', 'fc1']``, or ``'all-linear'``. By default query and value.

    Raises:
        ValueError: If an option has an invalid value.

    Examples:
        >>> LoRAOptions(towers='vision', r=4, alpha=4).towers
        ('vision',)
    """

    towers: str | Sequence[str] = TOWERS
    r: int = 8
    alpha: float = 16
    dropout: float = 0.0
    target_modules: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'towers', read_towers(self.towers, 'lora.towers'))
        targets = self.target_modules
        if isinstance(targets, str) and targets != ALL_LINEAR:
            object.__setattr__(self, 'target_modules', (targets,))
        checks = dict(
            towers=bool(self.towers),
            r=isinstance(self.r, int) and self.r > 0,
            alpha=isinstance(self.alpha, (int, float)) and self.alpha > 0,
            dropout=isinstance(self.dropout, (int, float)) and 0 <= self.dropout < 1,
            target_modules=targets is None
            or bool(targets)
            and all(isinstance(name, str) and name for name in targets),
        )
        wrong = [f'{key}={getattr(self, key)!r}' for key, valid in checks.items() if not valid]
        if wrong:
            raise ValueError(
                'model.backbone.lora needs at least one tower, r and alpha above 0, 0 <= dropout < 1, and '
                f'names of layers as target_modules, got {", ".join(wrong)}'
            )


def add_lora(model: nn.Module, options: dict | None, frozen_layers: int = -1) -> None:
    """Freeze towers of a model and add LoRA to linear layers of their blocks, through ``peft``.

    In these towers and their projections, only LoRA and a 3d patch train. The other parameters, such as the
    logit scale, train as they did. LoRA starts as zero, so features do not change, and neither do the random
    numbers that are drawn after it. State dicts have the keys of :mod:`mmclip4clip.models.lora_weights`. They
    also load without LoRA, which then keeps its initial values.

    Args:
        model (nn.Module): Dual encoder of ``transformers``.
        options (dict, optional): See :class:`LoRAOptions`; None leaves the model as it is.
        frozen_layers (int): LoRA of the lowest blocks of each tower that does not train.

    Raises:
        ImportError: If ``peft`` is missing.
        ValueError: If an option is unknown or invalid, a name is not one of a linear layer in the blocks, or
            no block is left to train.
    """
    if options is None:
        return
    known = [field.name for field in fields(LoRAOptions)]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f'model.backbone.lora may have the keys {known}, got {unknown}')
    lora = LoRAOptions(**options)
    targets = find_targets(model, lora)
    peft = _import_peft()
    with torch.random.fork_rng(devices=[]):
        for tower in lora.towers:
            _freeze_tower(model, tower)
            blocks = tower_blocks(model, tower)
            config = peft.LoraConfig(
                r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets[tower]
            )
            peft.inject_adapter_in_model(config, blocks)
            for name in targets[tower]:
                _hook_state_dict(blocks.get_submodule(name), _read_keys, _write_keys)
            for block in blocks[: max(0, frozen_layers)]:
                block.requires_grad_(False)
    _hook_state_dict(model, _keep_fresh_lora)
    if not any('lora_' in name and p.requires_grad for name, p in model.named_parameters()):
        raise ValueError(
            f'frozen_layers={frozen_layers} freezes all blocks of the towers {lora.towers}, so no LoRA of '
            'them would train: lower it, or leave model.backbone.lora out'
        )


def find_targets(model: nn.Module, lora: LoRAOptions) -> dict[str, list[str]]:
    """Return the names of the linear layers to adapt for each tower, within its blocks.

    Raises:
        ValueError: If a name of ``target_modules`` is not one of a linear layer of any block, or a tower has
            none of them.
    """
    names = lora.target_modules or QUERY_AND_VALUE
    found: dict[str, list[str]] = {}
    seen: dict[str, None] = {}  # the ends of all names, in their order
    for tower in lora.towers:
        linear = [
            name
            for name, module in tower_blocks(model, tower).named_modules()
            if isinstance(module, nn.Linear)
        ]
        seen.update(dict.fromkeys(name.partition('.')[2] for name in linear))
        found[tower] = [name for name in linear if names == ALL_LINEAR or _ends_with(name, names)]
    missing = [name for name in lora.target_modules or () if not any(_ends_with(s, [name]) for s in seen)]
    if lora.target_modules != ALL_LINEAR and missing or not all(found.values()):
        empty = [tower for tower, layers in found.items() if not layers]
        raise ValueError(
            f'lora.target_modules={lora.target_modules!r} names '
            + (f'{missing}, which no block has' if missing else f'no linear layer of the tower {empty[0]}')
            + f'; the linear layers of the blocks are {list(seen)}'
        )
    return found


def _ends_with(name: str, ends: Sequence[str]) -> bool:
    return f'.{name}'.endswith(tuple(f'.{end}' for end in ends))


def _freeze_tower(model: nn.Module, tower: str) -> None:
    for name in (f'{tower}_model', PROJECTIONS[tower]):
        part = getattr(model, name, None)
        for module in part.modules() if isinstance(part, nn.Module) else ():
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad = isinstance(module, Patch3d)  # its neighbors start as zeros


def _hook_state_dict(module: nn.Module, read: Callable, write: Callable | None = None) -> None:
    """Call functions before a module loads a state dict, and after it writes one."""
    if hasattr(module, 'register_state_dict_post_hook'):
        module.register_load_state_dict_pre_hook(read)
        if write is not None:
            module.register_state_dict_post_hook(write)
    else:  # torch before 2.5 has them under private names
        module._register_load_state_dict_pre_hook(read, with_module=True)
        if write is not None:
            module._register_state_dict_hook(write)


def _write_keys(layer: Any, state_dict: dict[str, Tensor], prefix: str, metadata: dict) -> None:
    """Rename the tensors of a layer in a state dict, and add the factor of its LoRA."""
    for key in [key for key in state_dict if key.startswith(prefix)]:
        for name, clear in RENAMED.items():
            if key.startswith(prefix + name):
                state_dict[prefix + clear + key.removeprefix(prefix + name)] = state_dict.pop(key)
    state_dict[f'{prefix}lora_scaling'] = torch.tensor(float(layer.scaling[ADAPTER]))


def _read_keys(layer: Any, state_dict: dict[str, Tensor], prefix: str, *args) -> None:
    """Undo :func:`_write_keys`.

    Raises:
        RuntimeError: If the factor differs, because the layer would then compute something else.
    """
    scaling, own = state_dict.pop(f'{prefix}lora_scaling', None), float(layer.scaling[ADAPTER])
    if scaling is not None and float(scaling) != float(torch.tensor(own)):
        raise RuntimeError(
            f'the checkpoint has LoRA with alpha / r = {float(scaling):g} in {prefix[:-1]}, and '
            f'model.backbone.lora has {own:g}: give the r and alpha that it was trained with'
        )
    for name, clear in RENAMED.items():
        for end in ('weight', 'bias'):
            if f'{prefix}{clear}{end}' in state_dict:
                state_dict[f'{prefix}{name}{end}'] = state_dict.pop(f'{prefix}{clear}{end}')


def _keep_fresh_lora(model: nn.Module, state_dict: dict[str, Tensor], prefix: str, *args) -> None:
    """Add the LoRA of the model to a state dict without any."""
    if any(key.startswith(prefix) and is_lora(key) for key in state_dict):
        return
    weights = model.state_dict(prefix=prefix)
    state_dict.update({key: value for key, value in weights.items() if is_lora(key)})


def _import_peft() -> Any:
    """Import ``peft``, which takes seconds, only where it is used.

    Raises:
        ImportError: If it is missing.
    """
    try:
        import peft
    except ImportError as error:
        raise ImportError(
            f"model.backbone.lora needs peft ({error}): pip install 'mmclip4clip[lora]'"
        ) from error
    return peft
