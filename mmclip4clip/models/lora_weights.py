"""LoRA in the weights of a checkpoint, beside those of the layers that it adapts. Needs no ``peft``.

A layer with LoRA has ``weight`` and ``bias`` as without, and ``lora_A.weight`` (r, in), ``lora_B.weight``
(out, r) and ``lora_scaling``, a number. Its output is that of ``weight + lora_scaling * lora_B @ lora_A``.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

PARTS = ('lora_A.weight', 'lora_B.weight', 'lora_scaling')
KEY = re.compile(r'(?P<layer>(.+\.)?)(' + '|'.join(map(re.escape, PARTS)) + ')')


def is_lora(key: str) -> bool:
    """Return whether a key is one of LoRA."""
    return KEY.fullmatch(key) is not None


def without_fresh_lora(expected: Mapping[str, Tensor], found: Iterable[str]) -> dict[str, Tensor]:
    """Leave out the LoRA that a model expects if a checkpoint has none, so that it starts without effect.

    Args:
        expected (Mapping[str, Tensor]): State dict of the model.
        found (Iterable[str]): Keys of the checkpoint.
    """
    some = any(map(is_lora, found))
    return {key: value for key, value in expected.items() if some or not is_lora(key)}


def merge_lora(weights: Mapping[str, Tensor], name: str = 'the state dict') -> dict[str, Tensor]:
    """Add LoRA to the weights that it adapts, which gives the state dict of the same model without LoRA.

    Args:
        weights (Mapping[str, Tensor]): A state dict. Without LoRA it comes back as it is.
        name (str): Its name in error messages.

    Raises:
        ValueError: If a layer has only some of LoRA's tensors, or their shapes do not match its weight.

    Examples:
        >>> import torch
        >>> lora = {'lora_A.weight': torch.ones(1, 2), 'lora_B.weight': torch.ones(3, 1)}
        >>> merge_lora({'weight': torch.zeros(3, 2), **lora, 'lora_scaling': torch.tensor(2.0)})['weight'][0]
        tensor([2., 2.])
    """
    merged = {key: value for key, value in weights.items() if not is_lora(key)}
    layers = {match['layer']: None for match in map(KEY.fullmatch, weights) if match}
    for layer in layers:
        parts = [weights.get(f'{layer}{part}') for part in ('weight', *PARTS)]
        shapes = [tuple(getattr(part, 'shape', ('missing',))) for part in parts]
        (out, width), rank = shapes[0] if len(shapes[0]) == 2 else (0, 0), next(iter(shapes[1]), 0)
        if not out or shapes[1:] != [(rank, width), (out, rank), ()]:
            named = ', '.join(f'{part} {shape}' for part, shape in zip(('weight', *PARTS), shapes))
            raise ValueError(f'{name}: the LoRA of {layer[:-1]} does not fit its weight: {named}')
        weight, down, up, scaling = (part.double() for part in parts if part is not None)
        merged[f'{layer}weight'] = (weight + scaling * up @ down).to(weights[f'{layer}weight'].dtype)
    return merged
