"""What is kept of videos and captions: a dict of tensors, with V or N first in each."""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

Features = dict[str, Tensor]
BARE = 'tensor'  # the key of features that came as a tensor alone


def as_features(features: Tensor | Features, source: str) -> Features:
    """Put features that came as a tensor alone into a dict, under the key ``tensor``, with a warning.

    Adapters that were written before features were always a dict return one.

    Args:
        features (Tensor | dict[str, Tensor]): The features.
        source (str): Who returned them, for the warning.

    Examples:
        >>> import torch
        >>> features = as_features(dict(video=torch.ones(2, 3)), 'MyAdapter')
        >>> list(features)
        ['video']
    """
    if isinstance(features, dict):
        return features
    warnings.warn(
        f'{source} gave features as a tensor: features are dict[str, Tensor] now, such as dict(video=...)',
        FutureWarning,
        stacklevel=2,
    )
    return {BARE: features}


def vectors(features: Tensor | Features) -> Tensor:
    """Return the tensor of features that are one vector a video or caption, (V, D) or (N, D).

    Args:
        features (Tensor | dict[str, Tensor]): A dict with one entry. A tensor is returned as it is.

    Raises:
        ValueError: If there is another number of entries.

    Examples:
        >>> import torch
        >>> vectors(dict(text=torch.zeros(5, 8))).shape
        torch.Size([5, 8])
    """
    if isinstance(features, Tensor):
        return features
    if len(features) != 1:
        raise ValueError(f'expected features of one vector each, got the parts {sorted(features)}')
    return next(iter(features.values()))


def count_features(features: Features) -> int:
    """Return how many videos or captions the features are of."""
    return len(next(iter(features.values())))


def take_features(features: Features, index) -> Features:
    """Index the videos or captions, by anything that indexes a tensor's first axis."""
    return {key: value[index] for key, value in features.items()}


def split_features(features: Features) -> list[Features]:
    """Take the features of V videos apart into V pieces without the leading V.

    Examples:
        >>> import torch
        >>> pieces = split_features(dict(video=torch.ones(2, 3)))
        >>> [piece['video'].shape for piece in pieces]
        [torch.Size([3]), torch.Size([3])]
    """
    # Cloned: a view would drag the whole batch along.
    return [
        {key: value[i].clone() for key, value in features.items()} for i in range(count_features(features))
    ]


def join_features(pieces: list[Features]) -> Features:
    """Put pieces of :func:`split_features` together again, padded with zeros where T or L differs."""
    return cat_features([take_features(piece, None) for piece in pieces])


def cat_features(parts: list[Features]) -> Features:
    """Concatenate batches of features, padded with zeros where T or L differs."""
    return {key: _cat_padded([part[key] for part in parts]) for key in parts[0]}


def _cat_padded(parts: list[Tensor]) -> Tensor:
    sizes = [max(axis) for axis in zip(*(part.shape[1:] for part in parts))]
    return torch.cat([pad_features(part, sizes) for part in parts])


def pad_features(features: Tensor, sizes: list[int]) -> Tensor:
    """Pad all axes of a tensor but the first with zeros, at their ends, to these sizes."""
    missing = [size - have for size, have in zip(sizes, features.shape[1:])]
    return F.pad(features, [p for more in reversed(missing) for p in (0, more)])


def move_features(features: Features, device) -> Features:
    """Move features to a device, floating ones at least in single precision."""
    moved = {}
    for key, value in features.items():
        half = value.dtype in (torch.float16, torch.bfloat16)
        moved[key] = value.to(device, torch.float32 if half else value.dtype)
    return moved
