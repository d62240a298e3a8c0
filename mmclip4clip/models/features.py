"""Features of videos or captions: a dict of tensors, with V or N as the first axis of each."""

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

Features = dict[str, Tensor]
BARE = 'tensor'  # key for features that were a single tensor


def as_features(features: Tensor | Features, source: str) -> Features:
    """Wrap features in a single tensor into a dict with the key ``tensor``, with a warning.

    Adapters for earlier versions of this package return a single tensor.

    Args:
        features (Tensor | dict[str, Tensor]): The features.
        source (str): Name of the class that returned them, for the warning.

    Examples:
        >>> import torch
        >>> features = as_features(dict(video=torch.ones(2, 3)), 'MyAdapter')
        >>> list(features)
        ['video']
    """
    if isinstance(features, dict):
        return features
    warnings.warn(
        f'{source} returned features as a tensor: features are now dict[str, Tensor], as dict(video=...)',
        FutureWarning,
        stacklevel=2,
    )
    return {BARE: features}


def vectors(features: Tensor | Features) -> Tensor:
    """Return the tensor of features with one vector per video or caption, (V, D) or (N, D).

    Args:
        features (Tensor | dict[str, Tensor]): Dict with one entry. A tensor is returned unchanged.

    Raises:
        ValueError: If the dict does not have one entry.

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
    """Return the number of videos or captions."""
    return len(next(iter(features.values())))


def take_features(features: Features, index) -> Features:
    """Index the videos or captions, with anything that indexes the first axis of a tensor."""
    return {key: value[index] for key, value in features.items()}


def split_features(features: Features) -> list[Features]:
    """Split the features of V videos into V dicts without the first axis.

    Examples:
        >>> import torch
        >>> pieces = split_features(dict(video=torch.ones(2, 3)))
        >>> [piece['video'].shape for piece in pieces]
        [torch.Size([3]), torch.Size([3])]
    """
    # Cloned, because a view would keep the full batch in memory.
    return [
        {key: value[i].clone() for key, value in features.items()} for i in range(count_features(features))
    ]


def join_features(pieces: list[Features]) -> Features:
    """Join the dicts of :func:`split_features`, padded with zeros if T or L differ.

    Examples:
        >>> pieces = [dict(text=torch.ones(2, 4)), dict(text=torch.ones(3, 4))]
        >>> join_features(pieces)['text'].shape
        torch.Size([2, 3, 4])
    """
    return cat_features([take_features(piece, None) for piece in pieces])


def cat_features(parts: list[Features]) -> Features:
    """Concatenate batches of features, padded with zeros if T or L differ."""
    return {key: _cat_padded([part[key] for part in parts]) for key in parts[0]}


def _cat_padded(parts: list[Tensor]) -> Tensor:
    sizes = [max(axis) for axis in zip(*(part.shape[1:] for part in parts))]
    return torch.cat([pad_features(part, sizes) for part in parts])


def pad_features(features: Tensor, sizes: list[int]) -> Tensor:
    """Pad all axes of a tensor except the first at their ends with zeros to the given sizes."""
    missing = [size - have for size, have in zip(sizes, features.shape[1:])]
    return F.pad(features, [p for more in reversed(missing) for p in (0, more)])


def move_features(features: Features, device) -> Features:
    """Move features to a device, and convert half precision to single precision."""
    moved = {}
    for key, value in features.items():
        half = value.dtype in (torch.float16, torch.bfloat16)
        moved[key] = value.to(device, torch.float32 if half else value.dtype)
    return moved
