import torch
from torch import Tensor, nn


class Patch3d(nn.Module):
    """CLIP's patch projection over a frame and its two neighbors, the 3d linear patch of CLIP4Clip.

    arXiv:2104.08860, section 3.2. It starts as ``[0, CLIP's own, 0]`` and so
    gives what CLIP's own gives, up to rounding. Frames before the first and
    after the last are zeros, as is padding.

    Args:
        patch (nn.Conv2d): CLIP's own projection, without a bias.
    """

    def __init__(self, patch: nn.Conv2d) -> None:
        super().__init__()
        own, zeros = patch.weight.detach().clone(), torch.zeros_like(patch.weight)
        self.weight = nn.Parameter(torch.stack([zeros, own, zeros], dim=2))  # (width, 3, time, P, P)
        self.stride = patch.stride

    def forward(self, neighbors: Tensor) -> Tensor:
        """Project frames that :func:`with_neighbors` prepared, (B, 9, H, W) -> (B, width, H/P, W/P)."""
        clips = neighbors.unflatten(1, (3, 3)).transpose(1, 2)  # (B, RGB, time, H, W)
        return nn.functional.conv3d(clips, self.weight, stride=(1, *self.stride)).squeeze(2)


def with_neighbors(frames: Tensor, frame_mask: Tensor) -> Tensor:
    """Put the frames before and after beside each frame, zeros where there is none.

    Args:
        frames (Tensor): Normalized RGB frames, (V, T, 3, H, W).
        frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

    Returns:
        Tensor: Before, own and after, (V, T, 9, H, W).
    """
    frames = frames * frame_mask[..., None, None, None].to(frames.dtype)
    padded = nn.functional.pad(frames, (0, 0, 0, 0, 0, 0, 1, 1))
    return torch.cat([padded[:, :-2], frames, padded[:, 2:]], dim=2)
