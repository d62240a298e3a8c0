"""Post-process similarities with the help of other queries, in plain numpy.

Both functions use more than one caption and the videos, so metrics of their scores are not comparable with
metrics of plain scores. Only the order of the returned scores is meaningful. Normalization terms are rounded
to the precision of the similarities. Otherwise rounding errors over thousands of queries would break ties
between videos with equal scores at random.
"""

import math

import numpy as np


def dual_softmax(similarity: np.ndarray, temperature: float = 100.0, axis: int = 0) -> np.ndarray:
    """Weight each similarity with a softmax over all queries of a test.

    The score is similarity x softmax(temperature x similarity) along the axis of the queries, the dual
    softmax of CAMoE (arXiv:2109.04290). Negative similarities are divided by the weight instead, because the
    published product would rank the least likely of them first. The method needs all queries of a test at
    once, and assumes that each item matches one query. It does not use which captions belong to the same
    video, because that is the ground truth.

    Args:
        similarity (np.ndarray): Score of each caption for each video, (N, V).
        temperature (float): Factor on the similarity in the softmax, which is an inverse temperature. 100,
            the logit scale of a trained CLIP, is suitable for cosine similarities. Use 1 for logits.
        axis (int): Axis of the queries: 0 to rank videos for each caption (text to video), 1 to rank captions
            for each video (video to text).

    Returns:
        np.ndarray: Scores in the order of the weighted similarity, float64, (N, V). They are logarithms with
        the sign of the similarity, which neither overflow nor underflow.

    Raises:
        ValueError: If a shape or the temperature is invalid, or a score is NaN or infinite.

    Examples:
        >>> similarity = np.array([[.9, .2], [.8, .7]])  # both captions prefer the first video
        >>> dual_softmax(similarity).argmax(axis=1)
        array([0, 1])
    """
    check_positive(temperature=temperature)
    similarity = _checked('similarity', similarity)
    weights = temperature * (similarity.astype(float) - _soft_maximum(similarity, temperature, axis))
    sign = np.sign(similarity)
    size = np.log(np.where(sign == 0, 1.0, abs(similarity))) + sign * weights
    return sign * (size - size.min() + 1)  # sizes are at least 1, so pairs are sorted by sign first


def qb_norm(similarity: np.ndarray, bank: np.ndarray, beta: float = 20.0, k: int = 1) -> np.ndarray:
    """Reduce the scores of hub videos, which match many captions of a query bank.

    This is the dynamic inverted softmax of QB-Norm (arXiv:2112.12777, section 3). Hubs are videos among the
    ``k`` best of any caption of the bank. If the best video of a caption is a hub, its scores become
    exp(beta x similarity) / sum over the bank of exp(beta x bank). The scores of other captions do not
    change. The method applies from text to video only, because the rows have different scales.

    Tied videos share their rank, so the result does not depend on the order of the videos.

    Args:
        similarity (np.ndarray): Score of each caption for each video, (N, V).
        bank (np.ndarray): Score of each caption of the bank for each video, (B, V).
        beta (float): Inverse temperature. The authors use 20 for cosine similarities.
        k (int): Number of best videos of a caption of the bank that count as hubs.

    Returns:
        np.ndarray: Scores, float64, (N, V), comparable only within a row: either the logarithm of the
        quotient divided by ``beta``, or the unchanged similarity.

    Raises:
        ValueError: If a shape, ``beta`` or ``k`` is invalid, or a score is NaN or infinite.

    Examples:
        >>> similarity = np.array([[.9, .85]])
        >>> bank = np.array([[.9, .1], [.9, .2]])  # the first video matches every caption
        >>> qb_norm(similarity, bank).argmax(axis=1)
        array([1])
    """
    check_positive(beta=beta)
    similarity = _checked('similarity', similarity)
    bank = _checked('bank', bank, similarity.shape[1])
    if not 1 <= k <= bank.shape[1]:
        raise ValueError(f'k must be from 1 to {bank.shape[1]}, the number of videos, got {k}')
    kth = np.partition(bank, -k, axis=1)[:, [-k]]
    hubs = (bank >= kth).any(axis=0)
    best = similarity == similarity.max(axis=1, keepdims=True)
    changed = (best & hubs).any(axis=1)
    return similarity.astype(float) - changed[:, None] * _soft_maximum(bank, beta, 0)


def check_positive(**arguments: float) -> None:
    """Check that all arguments are finite and above 0, and raise a ValueError that names the first other."""
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
    """Return a valid matrix of scores as floating-point numbers."""
    if values.ndim != 2 or 0 in values.shape or values.shape[1] != (width or values.shape[1]):
        raise ValueError(
            f'expected {name} (captions, {width or "videos"}) with at least one of each, got {values.shape}'
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f'{np.count_nonzero(~np.isfinite(values))} of the {values.size} scores of '
            f'{name} are NaN or infinite, so they cannot be ranked'
        )
    return values if np.issubdtype(values.dtype, np.floating) else values.astype(float)
