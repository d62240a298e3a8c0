"""The captions whose right video is not the first answer, and the videos before it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .functional import ranks_of_videos
from .records import VideoRecord, stack_scores


class WrongAnswer(NamedTuple):
    """A caption whose right video is not ranked first.

    Args:
        video (int): Index of the right video.
        caption (int): Number of the caption among those of the video.
        rank (int): Rank of the right video.
        score (float): Score of the right video.
        above (list[tuple[int, float]]): Index and score of videos ranked before it, best first. Those with
            the same score count as before it, as in the ranks.

    Examples:
        >>> WrongAnswer(0, 1, 2, 0.3, [(4, 0.35)]).above[0]
        (4, 0.35)
    """

    video: int
    caption: int
    rank: int
    score: float
    above: list[tuple[int, float]]


def find_wrong_answers(
    records: Sequence[VideoRecord], count: int | None = 20, most_above: int = 3
) -> list[WrongAnswer]:
    """Find the captions with the worst ranks, at most one per video, the worst first.

    Among captions of equal rank, the one whose right video is the farthest below the first answer comes
    first. Captions of unreadable videos are left out, because every caption ranks such a video last.

    Args:
        records (Sequence[VideoRecord]): Scored videos.
        count (int, optional): Maximum number of captions; None for all.
        most_above (int): Maximum number of videos before the right one.

    Raises:
        KeyError: If a video has no scores.

    Examples:
        >>> records = [VideoRecord('a', 'a.mp4', ['a cat'], scores=np.array([[0.2, 0.3]])),
        ...            VideoRecord('b', 'b.mp4', ['a dog'], scores=np.array([[0.1, 0.3]]))]
        >>> find_wrong_answers(records)
        [WrongAnswer(video=0, caption=0, rank=2, score=0.2, above=[(1, 0.3)])]
    """
    scores = stack_scores(records)
    ranks = ranks_of_videos(scores.similarity, scores.video_index)
    first = np.searchsorted(scores.video_index, np.arange(len(records)))  # row of each video's first caption
    right = scores.similarity[np.arange(len(ranks)), scores.video_index]
    gaps = scores.similarity.max(axis=1) - right
    found: list[WrongAnswer] = []
    seen: set[int] = set()
    for row in np.lexsort((-gaps, -ranks)).tolist():
        video = int(scores.video_index[row])
        if ranks[row] == 1 or count is not None and len(found) == count:
            break
        if video in seen or records[video].unreadable is not None:
            continue
        seen.add(video)
        order = np.argsort(-scores.similarity[row], kind='stable')
        before = [int(v) for v in order if v != video and scores.similarity[row, v] >= right[row]]
        above = [(v, float(scores.similarity[row, v])) for v in before[:most_above]]
        found.append(WrongAnswer(video, row - int(first[video]), int(ranks[row]), float(right[row]), above))
    return found
