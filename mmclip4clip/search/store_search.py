"""Find the answers of a query among the segments of a store."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .answers import Answer, Filter
from .growing_shortlist import settled_answers
from .index_model import EncodedQuery, IndexModel
from .stores import Hit, SegmentStore


class Goal(NamedTuple):
    """Which answers to find, as in :meth:`VideoIndex.search`.

    Args:
        top (int): Number of answers.
        where (Filter): Limits the files.
        whole (bool): Whether to compare whole videos instead of moments.
        all_moments (bool): Whether to return moments of one video separately.

    Examples:
        >>> Goal(10, Filter('/videos'), whole=False, all_moments=False).where.folder
        '/videos'
    """

    top: int
    where: Filter
    whole: bool
    all_moments: bool


def search_by_vector(store: SegmentStore, vector: np.ndarray, wanted: int, goal: Goal) -> list[Answer]:
    """Find the best answers by the cosine of their vectors, with more segments until there are enough.

    Args:
        store (SegmentStore): The store.
        vector (np.ndarray): Vector of the query, (D,).
        wanted (int): Number of segments to look for at first.
        goal (Goal): Which answers to find.

    Raises:
        StoreError: If the store fails.
    """
    while True:
        hits = store.search(vector, wanted, goal.whole, goal.where)
        answers = to_answers(hits, goal)
        if len(answers) >= goal.top or len(hits) < wanted:
            return answers[: goal.top]
        wanted *= 4


def search_by_score(
    store: SegmentStore, model: IndexModel, query: EncodedQuery, lengths: tuple[int, int], goal: Goal
) -> list[Answer]:
    """Find the best answers by the score of the head, with a shortlist that grows until they settle.

    Args:
        store (SegmentStore): The store, for shortlists by vectors.
        model (IndexModel): Computes the scores.
        query (EncodedQuery): The query.
        lengths (tuple[int, int]): The first and the longest length of a shortlist.
        goal (Goal): Which answers to find.

    Raises:
        StoreError: If the store fails.
    """
    scores: dict[str, float] = {}

    def answers_of(length: int) -> tuple[list[Answer], bool]:
        hits = store.search(query.vector, length, goal.whole, goal.where)
        new = [hit.row for hit in hits if hit.row.id not in scores]
        if new:
            found = model.rerank(query, [row.features for row in new])
            scores.update((row.id, float(score)) for row, score in zip(new, found))
        ranked = sorted((Hit(scores[hit.row.id], hit.row) for hit in hits), key=lambda hit: -hit.score)
        return to_answers(ranked, goal)[: goal.top], len(hits) < length

    return settled_answers(answers_of, *lengths, goal.top)


def to_answers(hits: Sequence[Hit], goal: Goal) -> list[Answer]:
    """Turn segments into answers in their order: the first of each video, or all."""
    seen: set[str] = set()
    answers = []
    for score, row in hits:
        if goal.all_moments or row.filename not in seen:
            seen.add(row.filename)
            start, end = (None, None) if goal.whole else (row.start, row.end)
            answers.append(Answer(score, row.filename, start, end, row.duration))
    return answers
