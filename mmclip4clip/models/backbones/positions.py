"""Position embeddings for larger frames and longer captions than an encoder was trained with."""

import torch
import torch.nn.functional as F
from torch import Tensor

KEPT = 20  # positions that Long-CLIP does not stretch, arXiv:2403.15378, section 3.1


def resize_vision_positions(positions: Tensor, num_patches: int, antialias: bool = False) -> Tensor:
    """Interpolate the position embeddings of a vision tower to another number of patches.

    The grid is interpolated as in ``transformers``: bicubic, or bilinear with antialiasing in SigLIP 2. The
    position of a class token stays.

    Args:
        positions (Tensor): Position embeddings of a square of patches, with or without a class token, (K, W).
        num_patches (int): New number of patches, also of a square.
        antialias (bool): Whether to interpolate as SigLIP 2 does.

    Returns:
        Tensor: New embeddings, as many as there are patches, and the class token's, if any.

    Raises:
        ValueError: If the embeddings are not those of a square.

    Examples:
        >>> resize_vision_positions(torch.rand(1 + 7 * 7, 8), num_patches=144).shape
        torch.Size([145, 8])
    """
    side = int(len(positions) ** 0.5)
    first = len(positions) - side**2
    if first > 1:
        raise ValueError(f'{len(positions)} positions are not those of a square of patches')
    grid = positions[first:].float().unflatten(0, (side, side)).permute(2, 0, 1)[None]
    new = round(num_patches**0.5)
    mode = dict(mode='bilinear', antialias=True) if antialias else dict(mode='bicubic')
    grid = F.interpolate(grid, size=(new, new), align_corners=False, **mode)
    return torch.cat([positions[:first], grid[0].flatten(1).T.to(positions.dtype)])


def stretch_text_positions(positions: Tensor, length: int) -> Tensor:
    """Stretch the position embeddings of a text tower by Long-CLIP's rule.

    The first 20 positions stay, because most captions of CLIP's training are that short. The others are
    interpolated linearly, and extrapolated at the end. CLIP's 77 positions become 248 by a factor of 4, as
    published.

    Args:
        positions (Tensor): Position embeddings, (K, W).
        length (int): New number of positions, at least K.

    Returns:
        Tensor: New embeddings, (length, W).

    Raises:
        ValueError: If there are no positions to stretch, or ``length`` is less than K.

    Examples:
        >>> stretch_text_positions(torch.arange(77.0)[:, None], 248)[[19, 20, 22, 247], 0].tolist()
        [19.0, 20.0, 20.5, 76.75]
    """
    old = len(positions)
    if not KEPT + 1 < old <= length:
        raise ValueError(
            f'text_length={length} must be at least the {old} text positions of the encoder, of which there '
            f'must be more than {KEPT + 1}'
        )
    times = torch.arange(length - KEPT, dtype=torch.float64) * ((old - KEPT) / (length - KEPT))
    lower = times.floor().long().clamp(max=old - KEPT - 2)  # the last segment also extrapolates
    share = (times - lower)[:, None].to(positions.dtype)
    rest = positions[KEPT:]
    return torch.cat([positions[:KEPT], (1 - share) * rest[lower] + share * rest[lower + 1]])
