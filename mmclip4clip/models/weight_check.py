"""Tensors of a checkpoint against those that a model expects, by name and shape."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

# Buffers that old versions of transformers saved: the numbers 0, 1, 2, ...
COUNTING = re.compile(r'(.*\.)?(text|vision)_model\.embeddings\.position_ids')
# What wrappers put before the keys of the model inside.
WRAPPERS = ('module.', '_orig_mod.', 'model.', 'backbone.', 'clip.')


@dataclass(frozen=True)
class KeyDifference:
    """How the tensors of a checkpoint differ from those that a model expects; false where they do not.

    Args:
        missing (list[str]): Keys that only the model has.
        unexpected (list[str]): Keys that only the checkpoint has.
        mismatched (list[str]): Keys of both, with both shapes where these differ.
        prefix (str): What stands before keys that would fit without it, '' if nothing does.
    """

    missing: list[str]
    unexpected: list[str]
    mismatched: list[str]
    prefix: str = ''

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        """Count the keys of each kind, list the first three of each, and name a prefix that is in the way."""
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
                f'\nIts keys begin with {self.prefix!r}; without that prefix they would fit: take it off and '
                'save again'
            )
            if self.prefix
            else ''
        )
        return ', '.join(counts) + '; the first ones:\n  ' + '\n  '.join(first) + hint


def compare_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> KeyDifference:
    """Compare keys and shapes, leaving out buffers that only count.

    Args:
        expected (Mapping[str, Tensor]): The state dict of the model, or of a part.
        found (Mapping[str, Tensor]): What a checkpoint has for it.
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


def components(keys: Iterable[str]) -> dict[str, list[str]]:
    """Group keys by what is trained, or left out, as a whole: backbone, decoder, each part of the adapter."""
    parts: dict[str, list[str]] = {}
    for key in keys:
        depth = 2 if key.startswith('adapter.') else 1
        parts.setdefault('.'.join(key.split('.')[:depth]), []).append(key)
    return parts


def compare_shared(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> KeyDifference:
    """Compare only the components of which both have something; see :func:`compare_weights`."""
    need, have = components(expected), components(found)
    shared, loaded = (
        {key: tensors[key] for part in parts if part in other for key in parts[part]}
        for tensors, parts, other in ((expected, need, have), (found, have, need))
    )
    return compare_weights(shared, loaded)


def _wrapping(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Find what wrappers have put before the first key that would be expected without it."""
    for key in found:
        inner = key
        while inner not in expected and inner.startswith(WRAPPERS):
            inner = inner.removeprefix(next(start for start in WRAPPERS if inner.startswith(start)))
        if inner != key and inner in expected:
            return key.removesuffix(inner)
    return ''
