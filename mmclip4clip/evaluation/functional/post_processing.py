"""Post-process similarities with the help of other queries, in plain numpy.

Both functions use more than one caption and the videos, so metrics of their scores are not comparable with
metrics of plain scores. Only the order of the returned scores is meaningful. Normalization terms are rounded
to the precision of the similarities. Otherwise rounding errors over thousands of queries would break ties
between videos with equal scores at random.
"""

import math
from typing import Any

import numpy as np

from .score_blocks import ComputedScores, ScoreMatrix, count_not_finite, row_blocks


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
    return np.asarray(dual_softmax_rows(similarity, temperature, axis))


def dual_softmax_rows(similarity: ScoreMatrix, temperature: float = 100.0, axis: int = 0) -> ComputedScores:
    """Compute the scores of :func:`dual_softmax` when they are read, a block of captions at a time.

    Args and errors are those of :func:`dual_softmax`.

    Examples:
        >>> scores = dual_softmax_rows(np.array([[.9, .2], [.8, .7]]))
        >>> scores[1:].argmax(axis=1)
        array([1])
    """
    check_positive(temperature=temperature)
    similarity = _checked('similarity', similarity)
    largest = _soft_maximum(similarity, temperature, axis)

    def signed_weights(rows: Any) -> np.ndarray:
        block = similarity[rows]
        weights = block - (largest if axis == 0 else largest[rows]).astype(float)
        weights *= temperature
        weights *= np.sign(block)
        return weights

    smallest = math.log(_smallest_size(similarity)) + min(
        signed_weights(rows).min() for rows in row_blocks(similarity.shape)
    )

    def compute(rows: Any) -> np.ndarray:
        block = similarity[rows]
        size = np.abs(block)
        size[block == 0] = 1
        scores = signed_weights(rows)
        scores += np.log(size, out=size)
        scores -= smallest - 1  # sizes are at least 1, so pairs are sorted by sign first
        scores *= np.sign(block)
        return scores

    return ComputedScores(compute, similarity.shape, np.dtype(float))


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
    return np.asarray(qb_norm_rows(similarity, bank, beta, k))


def qb_norm_rows(similarity: ScoreMatrix, bank: np.ndarray, beta: float = 20.0, k: int = 1) -> ComputedScores:
    """Compute the scores of :func:`qb_norm` when they are read, a block of captions at a time.

    Args and errors are those of :func:`qb_norm`.

    Examples:
        >>> bank = np.array([[.9, .1], [.9, .2]])
        >>> qb_norm_rows(np.array([[.9, .85]]), bank)[:1].argmax(axis=1)
        array([1])
    """
    check_positive(beta=beta)
    similarity = _checked('similarity', similarity)
    bank = _checked('bank', bank, similarity.shape[1])
    if not 1 <= k <= bank.shape[1]:
        raise ValueError(f'k must be from 1 to {bank.shape[1]}, the number of videos, got {k}')
    hubs = np.zeros(bank.shape[1], bool)
    for rows in row_blocks(bank.shape):
        block = bank[rows]
        hubs |= (block >= np.partition(block, -k, axis=1)[:, [-k]]).any(axis=0)
    largest = _soft_maximum(bank, beta, 0)

    def compute(rows: Any) -> np.ndarray:
        block = similarity[rows]
        best = block == block.max(axis=1, keepdims=True)
        changed = (best & hubs).any(axis=1)
        return block.astype(float) - changed[:, None] * largest

    return ComputedScores(compute, similarity.shape, np.dtype(float))


def check_positive(**arguments: float) -> None:
    """Check that all arguments are finite and above 0, and raise a ValueError that names the first other."""
    for name, value in arguments.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f'{name} must be a finite number above 0, got {value}')


def _smallest_size(values: ScoreMatrix) -> float:
    """Return the smallest absolute value that is not 0, at most 1."""
    sizes = (np.abs(values[rows]) for rows in row_blocks(values.shape))
    return min(float(size.min(initial=1, where=size > 0)) for size in sizes)


def _largest(values: ScoreMatrix, axis: int) -> np.ndarray:
    """Return the largest values along an axis that stays."""
    parts = [values[rows].max(axis=axis, keepdims=True) for rows in row_blocks(values.shape)]
    return np.concatenate(parts) if axis else np.max(parts, axis=0)


def _soft_maximum(values: ScoreMatrix, factor: float, axis: int) -> np.ndarray:
    """Return log(sum(exp(factor x values))) / factor along an axis that stays, in the precision of values."""
    largest = _largest(values, axis).astype(float) * factor
    totals = np.zeros_like(largest)
    for rows in row_blocks(values.shape):
        exponents = values[rows].astype(float)
        exponents *= factor
        exponents -= largest if axis == 0 else largest[rows]
        # The largest exponents are near 0, where rounding them to the precision of the values loses nothing.
        sums = np.exp(exponents.astype(values.dtype)).sum(axis=axis, keepdims=True, dtype=float)
        if axis == 0:
            totals += sums
        else:
            totals[rows] = sums
    return ((largest + np.log(totals)) / factor).astype(values.dtype)


def _checked(name: str, values: Any, width: int | None = None) -> Any:
    """Return a valid matrix of scores as floating-point numbers."""
    if len(values.shape) != 2 or 0 in values.shape or values.shape[1] != (width or values.shape[1]):
        raise ValueError(
            f'expected {name} (captions, {width or "videos"}) with at least one of each, got {values.shape}'
        )
    not_finite = count_not_finite(values)
    if not_finite:
        raise ValueError(
            f'{not_finite} of the {math.prod(values.shape)} scores of {name} are NaN or infinite, so they '
            'cannot be ranked'
        )
    return values if np.issubdtype(values.dtype, np.floating) else values.astype(float)
