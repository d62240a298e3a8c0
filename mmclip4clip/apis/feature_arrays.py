"""Features as numpy arrays, for users, and as tensors, for the model."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..models.features import Features

Arrays: TypeAlias = np.ndarray | dict[str, np.ndarray]


def to_arrays(features: Features, as_vectors: bool) -> Arrays:
    """Convert features to numpy.

    Args:
        features (dict[str, Tensor]): Features on the CPU.
        as_vectors (bool): Whether they are one vector each, which are returned without the dict.

    Examples:
        >>> to_arrays(dict(video=torch.ones(2, 3)), as_vectors=True).shape
        (2, 3)
    """
    arrays = {key: part.numpy() for key, part in features.items()}
    return next(iter(arrays.values())) if as_vectors and len(arrays) == 1 else arrays


def is_features(value: Any) -> bool:
    """Return whether a value is features, and not captions or videos to encode."""
    if isinstance(value, np.ndarray) and value.dtype.kind in 'OU':
        return False
    return isinstance(value, Mapping) or isinstance(value, (np.ndarray, Tensor)) and value.ndim <= 2


def to_features(value: Any, name: str, as_vectors: bool) -> Features:
    """Convert the arrays of :func:`to_arrays` to tensors.

    Args:
        value (Any): A dict of arrays or tensors, with one row per video or caption; or vectors (V, D), or
            one vector (D,).
        name (str): ``'text'`` or ``'video'``, the key of vectors and the name in messages.
        as_vectors (bool): Whether the features of the model are one vector each.

    Raises:
        ValueError: If they have another form.

    Examples:
        >>> to_features(np.ones(3, np.float32), 'text', True)['text'].shape
        torch.Size([1, 3])
    """
    if isinstance(value, Mapping):
        features = {str(key): torch.as_tensor(part) for key, part in value.items()}
        counts = {len(part) if part.ndim else None for part in features.values()}
        if len(counts) != 1 or None in counts:
            shapes = {key: tuple(part.shape) for key, part in features.items()}
            raise ValueError(f'{name} features need one row each in all parts, got the shapes {shapes}')
        return features
    tensor = torch.as_tensor(value)
    if not as_vectors or tensor.ndim not in (1, 2):
        expected = 'vectors (N, D)' if as_vectors else 'a dict of arrays, because this head keeps more'
        raise ValueError(f'{name} features must be {expected}; got an array {tuple(tensor.shape)}')
    return {name: tensor[None] if tensor.ndim == 1 else tensor}
