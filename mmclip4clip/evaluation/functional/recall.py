"""Recall, median and histogram of ranks, in plain numpy. Rank 1 is the best."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def recall_figures(
    ranks: np.ndarray, recall_at: Sequence[int] = (1, 5, 10), lower_median: bool = False
) -> dict[str, float]:
    """Compute recall at K, median rank and mean rank.

    Args:
        ranks (np.ndarray): Ranks from 1, (N,).
        recall_at (Sequence[int]): Values K of the recalls R@K.
        lower_median (bool): Whether the median of an even number of ranks is the lower of the two middle
            ranks instead of their mean.

    Returns:
        dict[str, float]: ``R1 ...`` in percent, the median rank ``MdR`` and the mean rank ``MnR``.

    Raises:
        ValueError: If there are no ranks.

    Examples:
        >>> recall_figures(np.array([1, 3, 1, 20]), recall_at=(1, 5))
        {'R1': 50.0, 'R5': 75.0, 'MdR': 2.0, 'MnR': 6.25}
    """
    if len(ranks) == 0:
        raise ValueError('there are no ranks to summarize')
    figures = {f'R{k}': 100 * float(np.mean(ranks <= k)) for k in recall_at}
    median = np.sort(ranks)[(len(ranks) - 1) // 2] if lower_median else np.median(ranks)
    return dict(figures, MdR=float(median), MnR=float(np.mean(ranks)))


class RankBin(NamedTuple):
    """Number of queries whose right answer has a rank in a range.

    Args:
        first (int): Lowest rank of the range.
        last (int): Highest rank of the range.
        queries (int): Number of queries.

    Examples:
        >>> RankBin(2, 5, 40).queries
        40
    """

    first: int
    last: int
    queries: int


def rank_histogram(ranks: np.ndarray, total: int) -> list[RankBin]:
    """Count the queries by the rank of their right answer.

    The ranges end at 1, 5, 10, 20, 50, 100, 200, 500 and so on, so that R@1, R@5 and R@10 are sums of the
    first counts.

    Args:
        ranks (np.ndarray): Ranks from 1, (N,).
        total (int): Number of answers that are ranked; the last range ends there.

    Raises:
        ValueError: If a rank is not between 1 and ``total``.

    Examples:
        >>> [tuple(bin) for bin in rank_histogram(np.array([1, 1, 3, 12]), 15)]
        [(1, 1, 2), (2, 5, 1), (6, 10, 0), (11, 15, 1)]
    """
    if len(ranks) and not 1 <= ranks.min() <= ranks.max() <= total:
        raise ValueError(f'ranks must be from 1 to {total}, got {ranks.min()} to {ranks.max()}')
    ends, scale = [1, 5], 10
    while scale <= total:
        ends += [scale, 2 * scale, 5 * scale]
        scale *= 10
    ends = [end for end in ends if end < total] + [total]
    starts = [1, *(end + 1 for end in ends[:-1])]
    return [
        RankBin(first, last, int(((ranks >= first) & (ranks <= last)).sum()))
        for first, last in zip(starts, ends)
    ]


def recall_curve(ranks: np.ndarray, total: int) -> np.ndarray:
    """Return the recall at each K from 1 to ``total`` in percent, (total,).

    Args:
        ranks (np.ndarray): Ranks from 1, (N,).
        total (int): Number of answers that are ranked.

    Examples:
        >>> recall_curve(np.array([1, 3, 3, 4]), 4).tolist()
        [25.0, 25.0, 75.0, 100.0]
    """
    counts = np.bincount(ranks, minlength=total + 1)[1 : total + 1]
    return 100 * np.cumsum(counts) / len(ranks)
