"""A shortlist that grows until its answers settle."""

from collections.abc import Callable
from typing import TypeVar

AnswerType = TypeVar('AnswerType')


def settled_answers(
    answers_of: Callable[[int], tuple[list[AnswerType], bool]], shortlist: int, longest: int, top: int
) -> list[AnswerType]:
    """Double the length of a shortlist until twice as long a one has the same answers.

    A vector that agrees little with the score of a head needs a longer shortlist, and how long it must be
    depends on the query.

    Args:
        answers_of (Callable): Given a length, returns the best answers of that shortlist, at most ``top``,
            and whether nothing is left to be listed.
        shortlist (int): The first length.
        longest (int): The shortlist grows no further, unless there are fewer than ``top`` answers.
        top (int): Number of answers.

    Returns:
        list: The answers.

    Examples:
        >>> scores = [1, 9, 2, 3, 8, 0]
        >>> def best(length):
        ...     return [max(scores[:length])], length >= len(scores)
        >>> settled_answers(best, 1, 32, top=1), settled_answers(best, 2, 32, top=1)
        ([9], [9])
    """
    answers, complete = answers_of(shortlist)
    while not complete:
        before, shortlist = answers, 2 * shortlist
        answers, complete = answers_of(shortlist)
        if len(answers) >= top and (answers == before or 2 * shortlist > longest):
            break
    return answers
