"""Losses of all pairs whose matrix is computed a block of rows at a time."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Block = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


def check_block_size(block_size: int | None) -> int | None:
    """Check the number of captions in a block.

    Raises:
        ValueError: If it is neither None nor a positive whole number.
    """
    if block_size is not None and (
        isinstance(block_size, bool) or not isinstance(block_size, int) or block_size < 1
    ):
        raise ValueError(f'block_size must be None or a positive whole number, got {block_size!r}')
    return block_size


def compare_in_blocks(
    block: Block,
    text: Tensor,
    videos: Tensor,
    scale: Tensor,
    text_keys: Tensor,
    video_keys: Tensor,
    block_size: int | None,
) -> list[list[Tensor]]:
    """Compare captions with all videos, a block of captions at a time.

    The backward pass computes each block again, so only one block is in memory at any time.

    Args:
        block (Callable): Given logits (n, V) and which of them are positive pairs (n, V), returns tensors.
        text (Tensor): Caption features of unit length, (N, D).
        videos (Tensor): Video features of unit length, (V, D).
        scale (Tensor): Factor on the cosine.
        text_keys (Tensor): A number per caption, equal to that of its videos, (N,).
        video_keys (Tensor): A number per video, (V,).
        block_size (int, optional): Captions in a block; None for one block.

    Returns:
        list[list[Tensor]]: For each tensor of ``block``, those of all blocks.

    Examples:
        >>> captions, keys, scale = torch.eye(3), torch.arange(3), torch.tensor(2.0)
        >>> def right(logits, positives):
        ...     return (logits[positives],)
        >>> (sums,) = compare_in_blocks(right, captions, captions, scale, keys, keys, 2)
        >>> sums
        [tensor([2., 2.]), tensor([2.])]
    """

    def compare(text: Tensor, videos: Tensor, scale: Tensor, text_keys: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(text.device.type, enabled=False):  # half precision would tie scores
            return block(scale * text @ videos.T, text_keys[:, None] == video_keys)

    size = len(text) if block_size is None else block_size
    parts = []
    for start in range(0, len(text), size):
        chosen = slice(start, start + size)
        arguments = text[chosen], videos, scale, text_keys[chosen]
        if torch.is_grad_enabled():
            parts.append(checkpoint(compare, *arguments, use_reentrant=False, preserve_rng_state=False))
        else:
            parts.append(compare(*arguments))
    return [list(part) for part in zip(*parts)]
