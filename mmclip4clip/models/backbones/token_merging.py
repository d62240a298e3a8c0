"""Token merging (ToMe, arXiv:2210.09461): the blocks of a vision tower average patches that are alike."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .families import image_size
from .towers import tower_blocks

ARGUMENT = 'model.backbone.token_merging'


def read_merging(model: Any, options: dict | None, has_class_token: bool = True) -> list[int]:
    """Return how many patches each block of a vision tower merges, so that higher blocks compute fewer.

    Args:
        model (PreTrainedModel): Dual encoder of ``transformers``.
        options (dict, optional): ``r``, the number of patches that each block merges into others: a whole
            number for all blocks, or a list with one for each. The last block never merges, because nothing
            reads its patches, so a list has no number for it. 0 merges nothing.
        has_class_token (bool): Whether the feature of the tower is that of a class token.

    Returns:
        list[int]: The number for each block but the last; empty if nothing merges.

    Raises:
        ValueError: If ``r`` is no such number, a block would merge more than half of its patches, or the
            tower has no class token, as in SigLIP.
    """
    if options is None:
        return []
    if set(options) != {'r'}:
        raise ValueError(f'{ARGUMENT} must be dict(r=...) without other keys, got {options!r}')
    counts = _read_counts(options['r'], len(tower_blocks(model, 'vision')) - 1)
    if not any(counts):
        return []
    vision = model.vision_model
    if not has_class_token:
        raise ValueError(
            f'{ARGUMENT} needs a vision tower whose feature is that of a class token, as in CLIP, '
            f'MetaCLIP 2, Chinese-CLIP and AltCLIP, got {type(vision).__name__}: leave it out'
        )
    height, width = image_size(model.config)
    patches = (height // vision.config.patch_size) * (width // vision.config.patch_size)
    for number, count in enumerate(counts):
        if count > patches // 2:
            raise ValueError(
                f'{ARGUMENT}.r={options["r"]}: block {number} has {patches} patches and merges at most half '
                f'of them, {patches // 2}, got {count}'
            )
        patches -= count
    return counts


def _read_counts(r: object, number: int) -> list[int]:
    """Return the number of patches to merge in each block but the last."""
    counts: list[Any] = list(r) if isinstance(r, Sequence) and not isinstance(r, str) else [r] * number
    if len(counts) != number or any(type(count) is not int or count < 0 for count in counts):
        raise ValueError(
            f'{ARGUMENT}.r must be a whole number from 0 on, or a list of {number} of them, one for each '
            f'block of the vision tower but the last, got {r!r}'
        )
    return counts


@torch.no_grad()
def match_tokens(keys: Tensor, count: int) -> Tensor:
    """Decide which patches merge: of every second patch, those whose key is most like one of the others.

    Args:
        keys (Tensor): Keys of the attention, (B, L, C), the class token first, which never merges.
        count (int): Number of patches to merge, at most half of them.

    Returns:
        Tensor: The place of each token among the remaining ones, which keep their order, (B, L) int64.

    Examples:
        >>> patches = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0], [1.0, 1.0]])
        >>> match_tokens(torch.cat([torch.ones(1, 2), patches])[None], count=1)
        tensor([[0, 1, 2, 2, 3]])
    """
    unit = F.normalize(keys, dim=-1)
    likeness, partner = (unit[:, 1::2] @ unit[:, 2::2].transpose(1, 2)).max(dim=-1)  # (B, sources)
    chosen = likeness.topk(count, dim=-1).indices
    sources, targets = 2 * chosen + 1, 2 * partner.gather(1, chosen) + 2
    batch, length, _ = keys.shape
    stays = keys.new_ones(batch, length, dtype=torch.long).scatter(1, sources, 0)
    places = stays.cumsum(dim=1) - 1
    return places.scatter(1, sources, places.gather(1, targets))


def merge_tokens(hidden: Tensor, size: Tensor | None, places: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Average the tokens that have the same place, weighted by their sizes.

    Args:
        hidden (Tensor): Tokens, (B, L, D).
        size (Tensor, optional): Number of patches in each token, (B, L); None if that is 1.
        places (Tensor): Output of :func:`match_tokens`, (B, L).
        count (int): Number of tokens less than before.

    Returns:
        tuple[Tensor, Tensor]: Tokens (B, L - count, D) and their sizes (B, L - count).
    """
    batch, length, width = hidden.shape
    if size is None:
        size = hidden.new_ones(batch, length, dtype=torch.promote_types(hidden.dtype, torch.float32))
    total = size.new_zeros(batch, length - count).scatter_add(1, places, size)
    weight = (size / total.gather(1, places)).to(hidden.dtype)  # 1 for a token that is alone
    index = places[..., None].expand(-1, -1, width)
    merged = hidden.new_zeros(batch, length - count, width)
    return merged.scatter_add(1, index, weight[..., None] * hidden), total
