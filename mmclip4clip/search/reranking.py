"""Score a shortlist of videos by the head itself, from stored features."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch

from ..models import CLIP4ClipRetriever
from ..models.features import Features, count_features, move_features
from .feature_layout import FeatureLayout
from .stored_features import unpack_features

AnswerType = TypeVar('AnswerType')


@torch.no_grad()
def score_stored(
    model: CLIP4ClipRetriever,
    text: Features,
    layout: FeatureLayout,
    contents: Sequence[bytes],
    weights: Sequence[float] | None = None,
    videos_at_once: int = 256,
) -> np.ndarray:
    """Score the stored videos of a shortlist for a query, with the similarity of the model's head.

    Args:
        model (CLIP4ClipRetriever): The model, in evaluation mode.
        text (dict[str, Tensor]): Features of the N texts of the query, from ``model.encode_text``.
        layout (FeatureLayout): Layout of the stored features.
        contents (Sequence[bytes]): Stored features of K videos.
        weights (Sequence[float], optional): Weight of each text, negative to move away from it. By default 1.
        videos_at_once (int): Videos to read and score at once, which bounds memory.

    Returns:
        np.ndarray: Sum of the weighted similarities, without the logit scale, of each video, (K,) float32.

    Raises:
        ValueError: If there is not one weight per text, stored features are damaged, or a score is not
            finite.

    Examples:
        >>> from mmclip4clip.models import WTIAdapter
        >>> from mmclip4clip.search.stored_features import pack_features
        >>> adapter = WTIAdapter(width=8, num_layers=0)
        >>> model = torch.nn.Linear(1, 1)
        >>> model.similarity = adapter.similarity
        >>> videos = adapter.encode(torch.rand(2, 3, 8), torch.ones(2, 3))
        >>> layout = FeatureLayout.of(videos)
        >>> text = dict(tokens=torch.rand(1, 4, 8), text_mask=torch.ones(1, 4))
        >>> score_stored(model, text, layout, pack_features(layout, videos)).shape
        (2,)
    """
    number = count_features(text)
    if weights is not None and len(weights) != number:
        raise ValueError(f'expected one weight for each of the {number} texts, got {len(weights)}')
    device = next(model.parameters()).device
    factors = torch.ones(number) if weights is None else torch.tensor(weights, dtype=torch.float32)
    text, factors = move_features(text, device), factors.to(device)
    scores = [torch.empty(0)]
    for start in range(0, len(contents), videos_at_once):
        videos = unpack_features(layout, contents[start : start + videos_at_once], device)
        scores.append((factors @ model.similarity(text, videos).float()).cpu())
    joined = torch.cat(scores)
    if not torch.isfinite(joined).all():
        raise ValueError(f'{int((~torch.isfinite(joined)).sum())} scores are NaN or infinite')
    return joined.numpy()


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
