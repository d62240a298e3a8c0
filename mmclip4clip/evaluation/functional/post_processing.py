"""Scores made over with the help of other queries, in plain numpy.

Both functions look at more than the one caption and the videos: figures made of
their scores are not comparable with figures of plain scores. Both return scores
whose order alone has a meaning. What they take from a video is rounded to the
precision of its scores: two videos that a model cannot tell apart stay tied, where
the rounding errors of thousands of other queries would draw lots between them.
"""

import math

import numpy as np


def dual_softmax(similarity: np.ndarray, temperature: float = 100.0, axis: int = 0) -> np.ndarray:
    """Weight each pair by how much its answer prefers this query to all other queries.

    The score is similarity x softmax(temperature x similarity) along the axis of
    the queries: CAMoE (arXiv:2109.04290), whose dual softmax is applied to logits
    at test time. A negative similarity is divided by its weight instead, where the
    published product would put the unlikeliest of such pairs first. It needs all
    queries of a test at once and supposes that each answer suits one of them. Which
    captions share a video is not used: it is what is asked.

    Args:
        similarity (np.ndarray): Score of every caption with every video, (N, V).
        temperature (float): Factor of the similarity inside the softmax, strictly an
            inverse temperature. 100, CLIP's logit scale after training, suits
            cosines; for scores that are logits already, it is 1.
        axis (int): The axis of the queries. 0: captions, to rank the videos of each
            caption (text to video). 1: videos, to rank captions (video to text).

    Returns:
        np.ndarray: Scores, float64, (N, V), in the order of the weighted similarity:
        logarithms, which neither overflow nor become 0, with the sign of the similarity.

    Raises:
        ValueError: If the shape or the temperature is not usable, or a score is NaN or infinite.
    """
    check_positive(temperature=temperature)
    similarity = _checked('similarity', similarity)
    weights = temperature * (similarity.astype(float) - _soft_maximum(similarity, temperature, axis))
    sign = np.sign(similarity)
    size = np.log(np.where(sign == 0, 1.0, abs(similarity))) + sign * weights
    return sign * (size - size.min() + 1)  # every size from 1 on, so that the sign decides first


def qb_norm(similarity: np.ndarray, bank: np.ndarray, beta: float = 20.0, k: int = 1) -> np.ndarray:
    """Take from videos that answer everything what they owe to a bank of other captions.

    The dynamic inverted softmax of QB-Norm (arXiv:2112.12777, section 3): hubs are the
    videos among the ``k`` best of any bank caption. A caption whose best video is a
    hub is scored by exp(beta x similarity) / sum over the bank of exp(beta x bank);
    another keeps its scores. Text to video only: the rows that were changed and those
    that were not are on different scales, so that a column cannot be ranked.

    Videos that tie for a place have it together, so no order of the videos matters.

    Args:
        similarity (np.ndarray): Score of every caption with every video, (N, V).
        bank (np.ndarray): Score of every caption of the bank with the same videos, (B, V).
        beta (float): Inverse temperature. 20 is the authors' value for cosines.
        k (int): Answers of a bank caption that count as hubs.

    Returns:
        np.ndarray: Scores, float64, (N, V), to be compared within a row only: the
        logarithm of the quotient above divided by ``beta``, or the similarity as it was.

    Raises:
        ValueError: If shapes, ``beta`` or ``k`` are not usable, or a score is NaN or infinite.
    """
    check_positive(beta=beta)
    similarity = _checked('similarity', similarity)
    bank = _checked('bank', bank, similarity.shape[1])
    if not 1 <= k <= bank.shape[1]:
        raise ValueError(f'k must lie in 1 to {bank.shape[1]}, the number of videos, got {k}')
    kth = np.partition(bank, -k, axis=1)[:, [-k]]
    hubs = (bank >= kth).any(axis=0)
    best = similarity == similarity.max(axis=1, keepdims=True)
    changed = (best & hubs).any(axis=1)
    return similarity.astype(float) - changed[:, None] * _soft_maximum(bank, beta, 0)


def check_positive(**arguments: float) -> None:
    """Raise a ValueError that names the argument which is no finite number above 0."""
    for name, value in arguments.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f'{name} must be a finite number above 0, got {value}')


def _soft_maximum(values: np.ndarray, factor: float, axis: int) -> np.ndarray:
    """Return log(sum(exp(factor x values))) / factor, in the precision of the values."""
    exponents = factor * values.astype(float)
    largest = exponents.max(axis=axis, keepdims=True)
    total = np.exp(exponents - largest).sum(axis=axis, keepdims=True)
    return ((largest + np.log(total)) / factor).astype(values.dtype)


def _checked(name: str, values: np.ndarray, width: int | None = None) -> np.ndarray:
    """Return a matrix of floating numbers, or say which one cannot be used."""
    if values.ndim != 2 or 0 in values.shape or values.shape[1] != (width or values.shape[1]):
        raise ValueError(
            f'expected {name} (captions, {width or "videos"}) with at least one of each, got {values.shape}'
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f'{np.count_nonzero(~np.isfinite(values))} of the {values.size} scores of '
            f'{name} are NaN or infinite: nothing can be ranked by them'
        )
    return values if np.issubdtype(values.dtype, np.floating) else values.astype(float)
