"""Features as dicts of arrays with V or N first, as :mod:`mmclip4clip.models.features` for tensors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def cat_arrays(parts: Sequence[Arrays]) -> Arrays:
    """Concatenate batches of features, padded with zeros at the end if their frames or tokens differ.

    Examples:
        >>> cat_arrays([dict(frames=np.ones((2, 3, 4))), dict(frames=np.ones((1, 5, 4)))])['frames'].shape
        (3, 5, 4)
    """
    return {name: _cat_padded([part[name] for part in parts]) for name in parts[0]}


def count_rows(features: Arrays) -> int:
    """Return the number of videos or texts."""
    return len(next(iter(features.values())))


def blocks(features: Arrays, size: int) -> Iterator[Arrays]:
    """Split features into blocks of at most this many videos or texts.

    Examples:
        >>> [len(block['text']) for block in blocks(dict(text=np.ones((5, 2))), 2)]
        [2, 2, 1]
    """
    for start in range(0, count_rows(features), size):
        yield {name: part[start : start + size] for name, part in features.items()}


def pad_rows_of(features: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stack the rows of several videos, (T, D) each, padded with zeros, (V, T, D), and their mask, (V, T).

    Examples:
        >>> pad_rows_of([np.ones((2, 4)), np.ones((1, 4))])[1].tolist()
        [[1, 1], [1, 0]]
    """
    lengths = np.array([len(part) for part in features])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    padded = np.zeros((*mask.shape, features[0].shape[1]), np.float32)
    padded[mask.astype(bool)] = np.concatenate(list(features))
    return padded, mask


def is_features(value: Any) -> bool:
    """Return whether a value is features, and not captions or videos to encode."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, np.ndarray) and value.dtype.kind not in 'OU' and value.ndim <= 2


def as_parts(value: Any, name: str) -> Arrays:
    """Return features as a dict of arrays, with ``name`` as the key of vectors (V, D) or one vector (D,).

    Raises:
        ValueError: If parts have different numbers of rows.

    Examples:
        >>> as_parts(np.ones(3), 'text')['text'].shape
        (1, 3)
    """
    if not isinstance(value, Mapping):
        return {name: np.atleast_2d(np.asarray(value, np.float32))}
    parts = {str(key): np.asarray(part) for key, part in value.items()}
    if len({part.shape[:1] for part in parts.values()}) != 1 or any(not part.ndim for part in parts.values()):
        shapes = {key: part.shape for key, part in parts.items()}
        raise ValueError(f'{name} features need one row each in all parts, got the shapes {shapes}')
    return parts


def _cat_padded(parts: Sequence[np.ndarray]) -> np.ndarray:
    sizes = [max(axis) for axis in zip(*(part.shape[1:] for part in parts))]
    pads = [[(0, 0), *((0, size - have) for size, have in zip(sizes, part.shape[1:]))] for part in parts]
    return np.concatenate([np.pad(part, pad) for part, pad in zip(parts, pads)])
