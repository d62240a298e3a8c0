"""What an evaluation makes of a video that could not be read, in the one place that decides it.

Its data sample went through the model with the frames of another video, see
:func:`mmclip4clip.datasets.bad_videos.substitute_unreadable`. So every caption ranks it last, its
features are zero, its generated caption is blank and scores 0, and it is counted.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from .records import VideoRecord


def is_unreadable(sample: Mapping) -> bool:
    """Tell whether a data sample is of a video that could not be read; it says why in ``unreadable``."""
    return sample.get('unreadable') is not None


def blank_fields(sample: Mapping) -> dict[str, Any]:
    """Return what takes the place of the fields of a data sample that come from the frames of another video.

    Args:
        sample (Mapping): A data sample, or its fields as a dict.

    Returns:
        dict[str, Any]: Values by field, none for a video that was read.

    Examples:
        >>> blank_fields(dict(unreadable='no frames', generated='a cat', generated_score=-0.5))
        {'generated': '', 'generated_score': -inf}
        >>> blank_fields(dict(generated='a cat'))
        {}
    """
    if not is_unreadable(sample):
        return {}
    blank: dict[str, Any] = dict(generated='', generated_score=float('-inf'))
    blank = {key: value for key, value in blank.items() if sample.get(key) is not None}
    features = sample.get('video_features')
    if features is not None:
        blank['video_features'] = {key: _zeros(part) for key, part in features.items()}
    return blank


def _zeros(part: Tensor | np.ndarray) -> Tensor | np.ndarray:
    return torch.zeros_like(part) if isinstance(part, Tensor) else np.zeros_like(part)


def rank_last(scores: Tensor, unreadable: Tensor, lowest: Tensor) -> Tensor:
    """Give unreadable videos a score below all others, also with their own captions.

    Args:
        scores (Tensor): Captions with videos, (N, V).
        unreadable (Tensor): True for videos that could not be read, (V,).
        lowest (Tensor): The lowest score of all processes, a scalar.

    Returns:
        Tensor: Scores, (N, V).

    Examples:
        >>> import torch
        >>> scores = torch.tensor([[3., 5.]])
        >>> rank_last(scores, torch.tensor([False, True]), scores.min())
        tensor([[3., 2.]])
    """
    return torch.where(unreadable, lowest - 1, scores)


def count_unreadable(records: Iterable['VideoRecord']) -> float:
    """Count the videos that could not be read, as a figure of a metric."""
    return float(sum(record.unreadable is not None for record in records))
