import torch
import torch.distributed.nn.functional as dist_nn
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor

from ..adapters.base import VideoFeatures


def gather_with_grad(features: VideoFeatures) -> VideoFeatures:
    """Concatenate the features of all processes so that gradients are those of one process.

    The backward pass sums over the processes, and DDP averages, so together
    they give the gradient of the whole batch computed at once. The processes
    may hold different numbers of captions, or of frames; what is padded with
    zeros are frames.

    Args:
        features (Tensor | dict[str, Tensor]): Features of this process, batch first.

    Returns:
        Tensor | dict[str, Tensor]: Features of all processes, in rank order.
    """
    if get_world_size() == 1:
        return features
    if isinstance(features, dict):
        return {key: gather_with_grad(value) for key, value in features.items()}
    shapes = torch.stack(all_gather(torch.tensor(features.shape, device=features.device)))
    missing = (shapes.amax(dim=0) - shapes[get_rank()]).tolist()
    padded = F.pad(features, [p for size in reversed(missing) for p in (0, size)]).contiguous()
    parts = dist_nn.all_gather(padded) if features.requires_grad else all_gather(padded)
    return torch.cat([part[:rows] for part, rows in zip(parts, shapes[:, 0].tolist())])


def gather_owner(owner: Tensor, num_videos: int) -> Tensor:
    """Concatenate ``owner`` (N,) of all processes, counting videos on across them."""
    if get_world_size() == 1:
        return owner
    videos = torch.cat(all_gather(torch.tensor([num_videos], device=owner.device)))
    before = videos[:get_rank()].sum()
    return gather_with_grad(owner + before)
