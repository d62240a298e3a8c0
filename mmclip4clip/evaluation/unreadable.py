"""Define how videos that cannot be read are evaluated.

The model processes their data samples with the frames of another video, see
:func:`mmclip4clip.datasets.bad_videos.substitute_unreadable`. Therefore their results are replaced: every
caption ranks such a video last, its features are zero, and its generated caption is
empty, which scores 0 in CIDEr, and minus infinity as ``generated_score``.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from .records import VideoRecord


def is_unreadable(sample: Mapping) -> bool:
    """Return whether the video of a data sample could not be read; ``unreadable`` contains the reason."""
    return sample.get('unreadable') is not None


def blank_fields(sample: Mapping) -> dict[str, Any]:
    """Return replacements for the fields of an unreadable video, which were computed from another video.

    Args:
        sample (Mapping): Data sample, or a dict with its fields.

    Returns:
        dict[str, Any]: New values by field; empty for a readable video.

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
    """Set the scores of unreadable videos below all others, including those of their own captions.

    Args:
        scores (Tensor): Score of each caption for each video, (N, V).
        unreadable (Tensor): True for videos that could not be read, (V,).
        lowest (Tensor): Lowest score of all processes, ().

    Returns:
        Tensor: New scores, (N, V).

    Examples:
        >>> import torch
        >>> scores = torch.tensor([[3., 5.]])
        >>> rank_last(scores, torch.tensor([False, True]), scores.min())
        tensor([[3., 2.]])
    """
    return torch.where(unreadable, lowest - 1, scores)


def count_unreadable(records: Iterable['VideoRecord']) -> float:
    """Count the videos that could not be read, as a metric value."""
    return float(sum(record.unreadable is not None for record in records))
