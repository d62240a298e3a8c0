"""Encode a large batch in small parts, with the gradients of the whole batch."""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .features import Features, cat_features

Encoded = TypeVar('Encoded', Tensor, Features)
# Captions that are encoded with one video. Their activations take less memory: 12 captions of 77 tokens have
# about as many as 12 frames of 50 patches. More at a time use the processor better.
CAPTIONS = 8


def check_micro_batch_size(size: int | None) -> int | None:
    """Check the number of videos or captions to encode at a time.

    Raises:
        ValueError: If it is neither None nor a positive whole number.
    """
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f'micro_batch_size must be None or a positive whole number, got {size!r}')
    return size


def encode_in_micro_batches(
    encode: Callable[..., Encoded], size: int | None, inputs: Tensor, *others: Tensor
) -> Encoded:
    """Encode parts of a batch one after another, and keep only their features.

    The backward pass encodes each part again, with the random numbers of the first time, and passes it the
    gradients of its features. This is gradient caching (arXiv:2101.06983): the memory of activations is that
    of one part, and the gradients are those of the whole batch. The last part comes first in the backward
    pass, so its activations are kept and it is encoded once. A model with two encoders keeps those of the
    last part of each. Without gradients, the batch is not divided.

    Args:
        encode (Callable): Encodes a part of the batch.
        size (int, optional): Number of videos or captions in a part; None for the whole batch.
        inputs (Tensor): First argument of ``encode``, batch first.
        *others (Tensor): Its other arguments, batch first.

    Returns:
        Tensor | dict[str, Tensor]: Features of the batch.

    Examples:
        >>> encode_in_micro_batches(torch.sqrt, 2, torch.tensor([1.0, 4.0, 9.0]))
        tensor([1., 2., 3.])
    """
    if size is None or len(inputs) <= size or not torch.is_grad_enabled():
        return encode(inputs, *others)
    *cached, last = zip(*(batch.split(size) for batch in (inputs, *others)))
    parts = [checkpoint(encode, *part, use_reentrant=False) for part in cached]
    parts.append(encode(*last))
    return cast(Encoded, cat_features(parts) if isinstance(parts[0], dict) else torch.cat(parts))
