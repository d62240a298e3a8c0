from typing import TypeVar

import torch
import torch.distributed.nn.functional as dist_nn
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor

from ..features import Features, pad_features

TensorOrFeatures = TypeVar('TensorOrFeatures', Tensor, Features)


def gather_with_grad(features: TensorOrFeatures, exact: bool = True) -> TensorOrFeatures:
    """Concatenate the features of all processes, with gradients.

    The processes may hold different numbers of captions, frames or tokens; what is
    padded with zeros are frames and tokens.

    Args:
        features (Tensor | dict[str, Tensor]): Features of this process, batch first.
        exact (bool): If true, the backward pass sums over the processes, and
            DDP averages, so together they give the gradient of the whole batch
            computed at once. If false, only this process's own loss reaches
            its features, and the gradient is 1 / processes of that: the
            reference's rule.

    Returns:
        Tensor | dict[str, Tensor]: Features of all processes, in rank order.
    """
    if get_world_size() == 1:
        return features
    if isinstance(features, dict):
        return {key: _gather(value, exact) for key, value in features.items()}
    return _gather(features, exact)


def _gather(features: Tensor, exact: bool) -> Tensor:
    """Concatenate one tensor of all processes, see :func:`gather_with_grad`."""
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
    """Concatenate ``video_index`` (N,) of all processes, counting videos on across them."""
    if get_world_size() == 1:
        return video_index
    videos = torch.cat(all_gather(torch.tensor([num_videos], device=video_index.device)))
    before = videos[: get_rank()].sum()
    return _gather(video_index + before, exact=True)
