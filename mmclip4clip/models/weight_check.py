"""Comparison of the tensors of a checkpoint with those that a model expects, by name and shape."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from .lora_weights import is_lora

# Buffers that old versions of transformers saved; with the numbers 0, 1, 2, ...
COUNTING = re.compile(r'(.*\.)?(text|vision)_model\.(roberta\.)?embeddings\.position_ids')
# Prefixes that wrappers add to the keys of the wrapped model.
WRAPPERS = ('module.', '_orig_mod.', 'model.', 'backbone.', 'clip.')
FSDP = '_fsdp_wrapped_module.'  # prefix of the keys of a model whose weights are divided among processes
LORA = ' (LoRA)'  # end of the name of a component


@dataclass(frozen=True)
class KeyDifference:
    """How the tensors of a checkpoint differ from those that a model expects; false if they do not differ.

    Args:
        missing (list[str]): Keys of the model only.
        unexpected (list[str]): Keys of the checkpoint only.
        mismatched (list[str]): Common keys with different shapes, each with both shapes.
        prefix (str): A prefix without which the keys would match, '' if there is none.

    Examples:
        >>> difference = compare_weights(dict(weight=Tensor(2)), dict(weight=Tensor(2), bias=Tensor(2)))
        >>> difference.unexpected, bool(difference)
        (['bias'], True)
    """

    missing: list[str]
    unexpected: list[str]
    mismatched: list[str]
    prefix: str = ''

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        """Return the number of keys of each kind, the first three of each, and the superfluous prefix."""
        kinds = (('wrong shape', self.mismatched), ('missing', self.missing), ('unexpected', self.unexpected))
        counts = [
            f'{len(keys)} keys of {kind}' if kind == 'wrong shape' else f'{len(keys)} {kind} keys'
            for kind, keys in kinds
            if keys
        ]
        first = [
            key if kind == 'wrong shape' else f'{key} ({kind})' for kind, keys in kinds for key in keys[:3]
        ]
        hint = (
            (
                f'\nIts keys begin with {self.prefix!r}; without that prefix they would match: remove it and '
                'save the file again'
            )
            if self.prefix
            else ''
        )
        if any(map(is_lora, self.unexpected)):
            hint += (
                '\nIt has LoRA: give model.backbone.lora as in its training, or merge it into plain weights '
                'with tools/model_converters/convert.py'
            )
        return ', '.join(counts) + '; the first ones:\n  ' + '\n  '.join(first) + hint


def compare_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> KeyDifference:
    """Compare keys and shapes, ignoring the position buffers of old versions of transformers.

    Args:
        expected (Mapping[str, Tensor]): State dict of the model, or of a part of it.
        found (Mapping[str, Tensor]): State dict from the checkpoint.
    """
    found = {key: value for key, value in found.items() if key in expected or not COUNTING.fullmatch(key)}
    shapes = {key: tuple(getattr(value, 'shape', ('no tensor',))) for key, value in found.items()}
    return KeyDifference(
        missing=[key for key in expected if key not in found],
        unexpected=[key for key in found if key not in expected],
        mismatched=[
            f'{key}: {shapes[key]} instead of {tuple(value.shape)}'
            for key, value in expected.items()
            if key in found and shapes[key] != tuple(value.shape)
        ],
        prefix=_wrapping(expected, found),
    )


def rename_layers(expected: Collection[str], found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the blocks of towers, which versions of transformers call ``layer`` or ``layers``.

    Args:
        expected (Collection[str]): Keys of the model.
        found (Mapping[str, Tensor]): State dict from another version.

    Returns:
        dict[str, Tensor]: ``found``, with the expected keys where they differ only in this.
    """
    swaps = (('.encoder.layer.', '.encoder.layers.'), ('.encoder.layers.', '.encoder.layer.'))
    names = {}
    for key in found:
        others = [key.replace(*swap) for swap in swaps] if key not in expected else []
        names[key] = next((other for other in others if other in expected), key)
    return {names[key]: value for key, value in found.items()}


def components(keys: Iterable[str]) -> dict[str, list[str]]:
    """Group keys by component: backbone, its LoRA, decoder, and each part of the adapter."""
    parts: dict[str, list[str]] = {}
    for key in keys:
        depth = 2 if key.startswith('adapter.') else 1
        name = '.'.join(key.split('.')[:depth]) + LORA * is_lora(key)
        parts.setdefault(name, []).append(key)
    return parts


def compare_shared(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> KeyDifference:
    """Compare only the components that occur in both, and LoRA; see :func:`compare_weights`.

    A model may have LoRA that a checkpoint lacks, because LoRA starts without effect. The LoRA of a
    checkpoint belongs to its other weights, so the model must have it too.
    """
    need, have = components(expected), components(found)
    shared = {key: expected[key] for part in need if part in have for key in need[part]}
    loaded = {key: found[key] for part in have if part in need or part.endswith(LORA) for key in have[part]}
    return compare_weights(shared, loaded)


def _wrapping(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Return the wrapper prefix of the first key that would be expected without it, or ''."""
    for key in found:
        inner = key
        while inner not in expected and inner.startswith(WRAPPERS):
            inner = inner.removeprefix(next(start for start in WRAPPERS if inner.startswith(start)))
        if inner != key and inner in expected:
            return key.removesuffix(inner)
    return ''


def is_sharded(prefix: str) -> bool:
    """Return whether a module loads under FullyShardedDataParallel, which has only parts of the weights.

    Such modules cannot compare their weights with a checkpoint; ``ArchitectureCheckHook`` has done so.

    Examples:
        >>> is_sharded('_fsdp_wrapped_module.backbone.'), is_sharded('backbone.')
        (True, False)
    """
    return FSDP in prefix
