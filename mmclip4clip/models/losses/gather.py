import torch
import torch.distributed.nn.functional as dist_nn
from mmengine.dist import all_gather, get_world_size
from torch import Tensor

from ..adapters.base import VideoFeatures


def gather_with_grad(features: VideoFeatures) -> VideoFeatures:
    """Concatenate the features of all processes so that gradients are those of one process.

    The backward pass sums over the processes, and DDP averages, so together
    they give the gradient of the whole batch computed at once. Every process
    must hold the same shape.

    Args:
        features (Tensor | dict[str, Tensor]): Features of this process, batch first.

    Returns:
        Tensor | dict[str, Tensor]: Features of all processes, in rank order.
    """
    if get_world_size() == 1:
        return features
    if isinstance(features, dict):
        return {key: gather_with_grad(value) for key, value in features.items()}
    if not features.requires_grad:
        return torch.cat(all_gather(features))
    return torch.cat(dist_nn.all_gather(features.contiguous()))


def gather_owner(owner: Tensor, num_videos: int) -> Tensor:
    """Concatenate ``owner`` (N,) of all processes, counting videos on across them."""
    if get_world_size() == 1:
        return owner
    return torch.cat([part + rank * num_videos for rank, part in enumerate(all_gather(owner))])
