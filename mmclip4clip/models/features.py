"""What is kept of videos and captions: a tensor, or a dict of tensors, with V or N first in each."""

import torch
import torch.nn.functional as F
from torch import Tensor

Features = Tensor | dict[str, Tensor]


def count_features(features: Features) -> int:
    """Return how many videos or captions the features are of."""
    return len(features if isinstance(features, Tensor) else next(iter(features.values())))


def take_features(features: Features, index) -> Features:
    """Index the videos or captions, by anything that indexes a tensor's first axis."""
    if isinstance(features, Tensor):
        return features[index]
    return {key: value[index] for key, value in features.items()}


def split_features(features: Features) -> list[Features]:
    """Take the features of V videos apart into V pieces without the leading V."""
    # Cloned: a view would drag the whole batch along.
    if isinstance(features, Tensor):
        return [piece.clone() for piece in features]
    return [dict(zip(features, values)) for values in zip(*map(split_features, features.values()))]


def join_features(pieces: list[Features]) -> Features:
    """Put pieces of :func:`split_features` together again, padded with zeros where T or L differs."""
    return cat_features([take_features(piece, None) for piece in pieces])


def cat_features(parts: list[Features]) -> Features:
    """Concatenate batches of features, padded with zeros where T or L differs."""
    if isinstance(parts[0], dict):
        return {key: cat_features([part[key] for part in parts]) for key in parts[0]}
    sizes = [max(axis) for axis in zip(*(part.shape[1:] for part in parts))]
    return torch.cat([pad_features(part, sizes) for part in parts])


def pad_features(features: Tensor, sizes: list[int]) -> Tensor:
    """Pad all axes but the first with zeros, at their ends, to these sizes."""
    missing = [size - have for size, have in zip(sizes, features.shape[1:])]
    return F.pad(features, [p for more in reversed(missing) for p in (0, more)])


def move_features(features: Features, device) -> Features:
    """Move features to a device, floating ones at least in single precision."""
    if isinstance(features, dict):
        return {key: move_features(value, device) for key, value in features.items()}
    half = features.dtype in (torch.float16, torch.bfloat16)
    return features.to(device, torch.float32 if half else features.dtype)


def zero_features(features: Features) -> Features:
    """Return features of the same form, all zero."""
    if isinstance(features, dict):
        return {key: zero_features(value) for key, value in features.items()}
    return torch.zeros_like(features)
