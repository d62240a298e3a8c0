"""Ranks and the figures made of them, in plain numpy.

One rule everywhere: rank 1 is best, and whatever scores as high as the right
answer is counted before it. A model that scores everything alike is last, not
first.
"""

from collections.abc import Hashable, Sequence

import numpy as np


def _check(similarity: np.ndarray, video_index: np.ndarray) -> None:
    if similarity.ndim != 2 or video_index.shape != similarity.shape[:1]:
        raise ValueError(
            f'expected similarity (N, V) and video_index (N,), got {similarity.shape} and {video_index.shape}'
        )
    if not np.isfinite(similarity).all():
        raise ValueError(
            f'{np.count_nonzero(~np.isfinite(similarity))} of the {similarity.size} '
            'similarities are NaN or infinite: nothing can be ranked by them'
        )
    if len(video_index) and not 0 <= video_index.min() <= video_index.max() < similarity.shape[1]:
        raise ValueError(
            f'video_index must lie in 0 to {similarity.shape[1] - 1}, got {video_index.min()} to '
            f'{video_index.max()}'
        )


def ranks_of_videos(similarity: np.ndarray, video_index: np.ndarray) -> np.ndarray:
    """Rank the right video of each caption among all videos (text to video).

    Args:
        similarity (np.ndarray): Score of every caption with every video, (N, V).
        video_index (np.ndarray): The video of each caption, (N,).

    Returns:
        np.ndarray: Rank of each caption's video, from 1, (N,).

    Raises:
        ValueError: If shapes do not fit, or a score is NaN or infinite.
    """
    _check(similarity, video_index)
    positive = similarity[np.arange(len(video_index)), video_index]
    return (similarity >= positive[:, None]).sum(axis=1)


def caption_group_scores(similarity: np.ndarray, video_index: np.ndarray) -> np.ndarray:
    """Score a video with the captions of another by the best of them.

    Args:
        similarity (np.ndarray): Score of every caption with every video, (N, V).
        video_index (np.ndarray): The video of each caption, (N,).

    Returns:
        np.ndarray: Score of every group of captions with every video, (V, V).
        Row g is the group of video g.

    Raises:
        ValueError: If shapes do not fit, a score is NaN or infinite, or a video has no caption.
    """
    _check(similarity, video_index)
    groups = np.full((similarity.shape[1], similarity.shape[1]), -np.inf, similarity.dtype)
    np.maximum.at(groups, video_index, similarity)
    empty = np.setdiff1d(np.arange(similarity.shape[1]), video_index)
    if len(empty):
        raise ValueError(f'videos without a caption cannot be searched from: {empty.tolist()[:10]}')
    return groups


def ranks_of_captions(
    similarity: np.ndarray, video_index: np.ndarray, protocol: str = 'caption_groups'
) -> np.ndarray:
    """Rank the right caption of each video (video to text).

    Args:
        similarity (np.ndarray): Score of every caption with every video, (N, V).
        video_index (np.ndarray): The video of each caption, (N,).
        protocol (str): With several captions a video, ``'caption_groups'``, the
            paper's: a video's captions are one answer that scores as the best
            of them, ranked among V. ``'best_caption'``: captions are ranked
            singly among those of other videos, and a video's best one counts.

    Returns:
        np.ndarray: Rank for each video, from 1, (V,).

    Raises:
        ValueError: As :func:`caption_group_scores`, or for an unknown protocol.
    """
    groups = caption_group_scores(similarity, video_index)
    best = groups.diagonal()
    if protocol == 'caption_groups':
        return (groups >= best).sum(axis=0)
    if protocol == 'best_caption':
        others = video_index[:, None] != np.arange(similarity.shape[1])
        return 1 + ((similarity >= best) & others).sum(axis=0)
    raise ValueError(f"protocol must be 'caption_groups' or 'best_caption', got {protocol!r}")


def group_ranks(similarity: np.ndarray, video_index: np.ndarray, groups: Sequence) -> np.ndarray:
    """Rank the right video of each caption among the videos of its own group only.

    Args:
        similarity (np.ndarray): Score of every caption with every video, (N, V).
        video_index (np.ndarray): The video of each caption, (N,).
        groups (Sequence): The group of each video, (V,); None is in no group.

    Returns:
        np.ndarray: Ranks of the captions whose video has company in its group, (<= N,).
    """
    _check(similarity, video_index)
    members: dict[Hashable, list[int]] = {}
    for video, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(video)
    order = np.argsort(video_index, kind='stable')  # the captions of each video follow one another
    begins = np.searchsorted(video_index[order], np.arange(len(groups) + 1))
    ranks = np.zeros(len(video_index), dtype=int)
    for videos in members.values():
        if len(videos) > 1:
            captions = np.concatenate([order[begins[video] : begins[video + 1]] for video in videos])
            positive = similarity[captions, video_index[captions]]
            ranks[captions] = (similarity[np.ix_(captions, np.array(videos))] >= positive[:, None]).sum(
                axis=1
            )
    return ranks[ranks > 0]


def recall_figures(
    ranks: np.ndarray, recall_at: Sequence[int] = (1, 5, 10), lower_median: bool = False
) -> dict[str, float]:
    """Summarize ranks as the field does.

    Args:
        ranks (np.ndarray): Ranks from 1, (N,).
        recall_at (Sequence[int]): The K of each R@K.
        lower_median (bool): Whether of an even number of ranks the median is the lower
            of the two in the middle, rather than their mean.

    Returns:
        dict[str, float]: ``R1`` and so on in percent, then the median rank
        ``MdR`` and the mean rank ``MnR``.

    Raises:
        ValueError: If there are no ranks.
    """
    if len(ranks) == 0:
        raise ValueError('there are no ranks to summarize')
    figures = {f'R{k}': 100 * float(np.mean(ranks <= k)) for k in recall_at}
    median = np.sort(ranks)[(len(ranks) - 1) // 2] if lower_median else np.median(ranks)
    return dict(figures, MdR=float(median), MnR=float(np.mean(ranks)))
