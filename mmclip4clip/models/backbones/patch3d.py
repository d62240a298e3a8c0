import torch
from torch import Tensor, nn


class Patch3d(nn.Module):
    """CLIP4Clip's 3d linear patch: a patch projection over a frame and its two neighbors.

    arXiv:2104.08860, section 3.2. It is initialized with ``[0, CLIP's weight, 0]``, so that its output
    equals CLIP's up to rounding. The neighbors before the first and after the last frame are zeros, and so
    is padding.

    Args:
        patch (nn.Conv2d): The patch projection of the encoder, with or without a bias.

    Raises:
        ValueError: If ``patch`` is not a convolution, as in SigLIP 2.

    Examples:
        >>> patch = Patch3d(nn.Conv2d(3, 8, kernel_size=4, stride=4, bias=False))
        >>> frames = with_neighbors(torch.rand(2, 5, 3, 16, 16), torch.ones(2, 5))
        >>> patch(frames.flatten(0, 1)).shape
        torch.Size([10, 8, 4, 4])
    """

    def __init__(self, patch: nn.Conv2d) -> None:
        super().__init__()
        if not isinstance(patch, nn.Conv2d):
            raise ValueError(
                "linear_patch='3d' needs a patch projection that is a convolution, this encoder's is "
                f"{type(patch).__name__}: use linear_patch='2d'"
            )
        weight, zeros = patch.weight.detach().clone(), torch.zeros_like(patch.weight)
        self.weight = nn.Parameter(torch.stack([zeros, weight, zeros], dim=2))  # (width, 3, time, P, P)
        self.bias = None if patch.bias is None else nn.Parameter(patch.bias.detach().clone())
        self.stride = patch.stride

    def forward(self, neighbors: Tensor) -> Tensor:
        """Project frames that :func:`with_neighbors` prepared, (B, 9, H, W) -> (B, width, H/P, W/P)."""
        clips = neighbors.unflatten(1, (3, 3)).transpose(1, 2)  # (B, RGB, time, H, W)
        return nn.functional.conv3d(clips, self.weight, self.bias, stride=(1, *self.stride)).squeeze(2)


def with_neighbors(frames: Tensor, frame_mask: Tensor) -> Tensor:
    """Concatenate each frame with the frames before and after it, or zeros.

    Args:
        frames (Tensor): Normalized RGB frames, (V, T, 3, H, W).
        frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

    Returns:
        Tensor: Previous, current and next frame, (V, T, 9, H, W).
    """
    frames = frames * frame_mask[..., None, None, None].to(frames.dtype)
    padded = nn.functional.pad(frames, (0, 0, 0, 0, 0, 0, 1, 1))
    return torch.cat([padded[:, :-2], frames, padded[:, 2:]], dim=2)
