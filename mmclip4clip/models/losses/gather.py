from typing import TypeVar

import torch
import torch.distributed.nn.functional as dist_nn
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor

from ..features import Features, pad_features

TensorOrFeatures = TypeVar('TensorOrFeatures', Tensor, Features)


def gather_with_grad(features: TensorOrFeatures, exact: bool = True) -> TensorOrFeatures:
    """Concatenate the features of all processes, with gradients.

    The numbers of captions, frames and tokens may differ between processes. Frames and tokens are padded
    with zeros.

    Args:
        features (Tensor | dict[str, Tensor]): Features of this process, batch first.
        exact (bool): If true, the backward pass sums over the processes. DDP averages, so together they
            give the gradient of the whole batch in one process. If false, features get gradients
            from the loss of their own process only, and DDP divides them by the number of processes, as in
            the reference.

    Returns:
        Tensor | dict[str, Tensor]: Features of all processes, in rank order.

    Examples:
        >>> gather_with_grad(dict(video=torch.ones(2, 4)))['video'].shape  # a single process
        torch.Size([2, 4])
    """
    if get_world_size() == 1:
        return features
    if isinstance(features, dict):
        return {key: _gather(value, exact) for key, value in features.items()}
    return _gather(features, exact)


def _gather(features: Tensor, exact: bool) -> Tensor:
    """Concatenate one tensor over all processes, see :func:`gather_with_grad`."""
    shapes = torch.stack(all_gather(torch.tensor(features.shape, device=features.device)))
    sizes = shapes.amax(dim=0).tolist()
    padded = pad_features(features[None], sizes)[0].contiguous()
    if features.requires_grad and exact:
        parts = dist_nn.all_gather(padded)
    else:
        parts = list(all_gather(padded.detach()))
        parts[get_rank()] = padded
    return torch.cat([part[:rows] for part, rows in zip(parts, shapes[:, 0].tolist())])


def gather_video_index(video_index: Tensor, num_videos: int) -> Tensor:
    """Concatenate ``video_index`` (N,) of all processes, offset by the videos of earlier processes.

    Examples:
        >>> gather_video_index(torch.tensor([0, 0, 1]), num_videos=2)  # a single process
        tensor([0, 0, 1])
    """
    if get_world_size() == 1:
        return video_index
    return _gather(offset_video_index(video_index, num_videos), exact=True)


def offset_video_index(video_index: Tensor, num_videos: int) -> Tensor:
    """Count ``video_index`` (N,) of this process from the first video of the first process.

    Examples:
        >>> offset_video_index(torch.tensor([0, 0, 1]), num_videos=2)  # a single process
        tensor([0, 0, 1])
    """
    if get_world_size() == 1:
        return video_index
    videos = torch.cat(all_gather(torch.tensor([num_videos], device=video_index.device)))
    return video_index + videos[: get_rank()].sum()
