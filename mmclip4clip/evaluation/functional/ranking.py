"""Ranks, in plain numpy.

Rank 1 is the best. Items with the same score as the right one count as ranked before it, so a model that
gives all items the same score has the worst ranks.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from .recall import RankBin, rank_histogram, recall_curve, recall_figures
from .score_blocks import ScoreMatrix, count_not_finite, row_blocks

__all__ = [
    'RankBin',
    'caption_group_scores',
    'group_ranks',
    'rank_histogram',
    'ranks_of_captions',
    'ranks_of_videos',
    'recall_curve',
    'recall_figures',
]


def _check(similarity: ScoreMatrix, video_index: np.ndarray) -> None:
    if len(similarity.shape) != 2 or video_index.shape != similarity.shape[:1]:
        raise ValueError(
            f'expected similarity (N, V) and video_index (N,), got {similarity.shape} and {video_index.shape}'
        )
    not_finite = count_not_finite(similarity)
    if not_finite:
        raise ValueError(
            f'{not_finite} of the {math.prod(similarity.shape)} similarities are NaN or infinite, so they '
            'cannot be ranked'
        )
    if len(video_index) and not 0 <= video_index.min() <= video_index.max() < similarity.shape[1]:
        raise ValueError(
            f'video_index must be from 0 to {similarity.shape[1] - 1}, got {video_index.min()} to '
            f'{video_index.max()}'
        )


def ranks_of_videos(similarity: ScoreMatrix, video_index: np.ndarray) -> np.ndarray:
    """Rank the right video of each caption among all videos (text to video).

    Args:
        similarity (np.ndarray | ComputedScores): Score of each caption for each video, (N, V).
        video_index (np.ndarray): Index of the video of each caption, (N,).

    Returns:
        np.ndarray: Rank of the right video of each caption, from 1, (N,).

    Raises:
        ValueError: If shapes do not match, or a score is NaN or infinite.

    Examples:
        >>> ranks_of_videos(np.array([[.9, .1], [.8, .2]]), np.array([0, 1]))
        array([1, 2])
    """
    _check(similarity, video_index)
    ranks = np.empty(len(video_index), int)
    for rows in row_blocks(similarity.shape):
        block = similarity[rows]
        positive = np.take_along_axis(block, video_index[rows, None], axis=1)
        ranks[rows] = np.count_nonzero(block >= positive, axis=1)
    return ranks


def caption_group_scores(similarity: ScoreMatrix, video_index: np.ndarray) -> np.ndarray:
    """Score all captions of a video together, by the best of them.

    Args:
        similarity (np.ndarray | ComputedScores): Score of each caption for each video, (N, V).
        video_index (np.ndarray): Index of the video of each caption, (N,).

    Returns:
        np.ndarray: Score of each group of captions for each video, (V, V). Row g is the group of video g.

    Raises:
        ValueError: If shapes do not match, a score is NaN or infinite, or a video has no captions.

    Examples:
        >>> similarity = np.array([[.9, .1], [.3, .6], [.2, .8]])
        >>> caption_group_scores(similarity, np.array([0, 0, 1]))  # the first video has two captions
        array([[0.9, 0.6],
               [0.2, 0.8]])
    """
    _check(similarity, video_index)
    groups = np.full((similarity.shape[1], similarity.shape[1]), -np.inf, similarity.dtype)
    order = np.argsort(video_index, kind='stable')  # the captions of a video one after another
    shuffled = bool((video_index[1:] < video_index[:-1]).any())  # their difference may be unsigned
    for rows in row_blocks(similarity.shape):
        chosen = order[rows] if shuffled else rows
        videos, begins = np.unique(video_index[chosen], return_index=True)
        groups[videos] = np.maximum(groups[videos], np.maximum.reduceat(similarity[chosen], begins, axis=0))
    _check_queries(similarity, video_index)
    return groups


def _check_queries(similarity: ScoreMatrix, video_index: np.ndarray) -> None:
    empty = np.setdiff1d(np.arange(similarity.shape[1]), video_index)
    if len(empty):
        raise ValueError(f'videos without a caption cannot be used as queries: {empty.tolist()[:10]}')


def _blocks_of_videos(shape: tuple[int, ...], video_index: np.ndarray) -> Iterator[Any]:
    """Yield rows in blocks that contain all captions of their videos, as slices if they are consecutive."""
    if not len(video_index):
        return
    shuffled = bool((video_index[1:] < video_index[:-1]).any())  # their difference may be unsigned
    order = np.argsort(video_index, kind='stable') if shuffled else None
    begins = np.unique(video_index if order is None else video_index[order], return_index=True)[1]
    ends, start = [*begins[1:].tolist(), len(video_index)], 0
    most = next(row_blocks(shape)).stop
    for end, following in zip(ends, [*ends[1:], None]):
        if following is None or following - start > most:
            yield slice(start, end) if order is None else order[start:end]
            start = end


def _group(block: np.ndarray, video_index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best score of the captions of each video in a block, and these videos."""
    videos, begins = np.unique(video_index, return_index=True)
    return np.maximum.reduceat(block, begins, axis=0), videos


def ranks_of_captions(
    similarity: ScoreMatrix, video_index: np.ndarray, protocol: str = 'caption_groups'
) -> np.ndarray:
    """Rank the right caption of each video (video to text).

    Args:
        similarity (np.ndarray | ComputedScores): Score of each caption for each video, (N, V).
        video_index (np.ndarray): Index of the video of each caption, (N,).
        protocol (str): How several captions of a video are ranked. ``'caption_groups'``, the protocol of the
            paper, ranks V groups of captions, each by its best caption. ``'best_caption'`` ranks each caption
            among those of other videos, and uses the best rank.

    Returns:
        np.ndarray: Rank for each video, from 1, (V,).

    Raises:
        ValueError: See :func:`caption_group_scores`, or if the protocol is unknown.

    Examples:
        >>> similarity = np.array([[.9, .1], [.3, .6], [.2, .8]])
        >>> ranks_of_captions(similarity, np.array([0, 0, 1]))
        array([1, 1])
    """
    if protocol not in ('caption_groups', 'best_caption'):
        raise ValueError(f"protocol must be 'caption_groups' or 'best_caption', got {protocol!r}")
    _check(similarity, video_index)
    _check_queries(similarity, video_index)
    best = np.empty(similarity.shape[1], similarity.dtype)
    for rows in _blocks_of_videos(similarity.shape, video_index):
        groups, videos = _group(similarity[rows], video_index[rows])
        best[videos] = groups[np.arange(len(videos)), videos]
    ranks = np.zeros(similarity.shape[1], int)
    for rows in _blocks_of_videos(similarity.shape, video_index):  # the same blocks: the same rounding
        if protocol == 'caption_groups':
            better = _group(similarity[rows], video_index[rows])[0] >= best
        else:
            better = similarity[rows] >= best
            better[np.arange(len(better)), video_index[rows]] = False  # captions of the video itself
        ranks += np.count_nonzero(better, axis=0)
    return ranks if protocol == 'caption_groups' else ranks + 1


def group_ranks(similarity: ScoreMatrix, video_index: np.ndarray, groups: Sequence) -> np.ndarray:
    """Rank the right video of each caption among the videos of its group.

    Args:
        similarity (np.ndarray | ComputedScores): Score of each caption for each video, (N, V).
        video_index (np.ndarray): Index of the video of each caption, (N,).
        groups (Sequence): Group of each video, (V,); None for videos without a group.

    Returns:
        np.ndarray: Ranks of the captions whose group has several videos, (<= N,).

    Examples:
        >>> similarity = np.array([[.5, .1, .9], [.6, .4, .9], [.1, .1, .9]])
        >>> group_ranks(similarity, np.array([0, 1, 2]), ['a', 'a', None])
        array([1, 2])
    """
    _check(similarity, video_index)
    members: dict[Hashable, list[int]] = {}
    for video, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(video)
    order = np.argsort(video_index, kind='stable')  # groups the captions by video
    begins = np.searchsorted(video_index[order], np.arange(len(groups) + 1))
    ranks = np.zeros(len(video_index), dtype=int)
    for videos in members.values():
        if len(videos) > 1:
            captions = np.concatenate([order[begins[video] : begins[video + 1]] for video in videos])
            for part in row_blocks((len(captions), similarity.shape[1])):
                rows = captions[part]
                block = similarity[rows]
                positive = np.take_along_axis(block, video_index[rows, None], axis=1)
                ranks[rows] = np.count_nonzero(block[:, videos] >= positive, axis=1)
    return ranks[ranks > 0]
