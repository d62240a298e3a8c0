"""Score only the most promising pairs, for adapters with an expensive pair score."""

import torch
from mmengine.dist import all_gather, all_reduce
from torch import Tensor

from ...models.adapters import RerankableAdapter
from ...models.features import Features


def rerank(
    adapter: RerankableAdapter, text: Features, videos: Features, top: int, counted: Tensor
) -> tuple[Tensor, Tensor]:
    """Score the shortlisted pairs exactly, and rank all others below them by the cheap score.

    Args:
        adapter (RerankableAdapter): Adapter that scores the pairs.
        text (dict[str, Tensor]): Features of the N captions of this process.
        videos (dict[str, Tensor]): Features of all V videos.
        top (int): Length k of the shortlists, see :func:`shortlist`.
        counted (Tensor): False for duplicates, see :func:`shortlist`, (N,).

    Returns:
        tuple[Tensor, Tensor]: Scores (N, V), and whether each pair was on a shortlist (N, V).
    """
    cheap = adapter.cheap_similarity(text, videos)
    listed = shortlist(cheap, top, counted)
    exact = adapter.pair_similarity(text, videos, listed.flatten().nonzero().squeeze(1))
    lowest = exact.min() if len(exact) else cheap.new_tensor(float('inf'))
    all_reduce(lowest, 'min')
    scores = lowest - 2 + cheap  # at most lowest - 1, which is below every exact score of all processes
    scores[listed] = exact.to(scores.dtype)
    return scores, listed


def shortlist(cheap: Tensor, top: int, counted: Tensor) -> Tensor:
    """Keep the best ``top`` videos of each caption, and the best ``top`` captions of each video.

    Args:
        cheap (Tensor): Cheap scores of the captions of this process, (N, V).
        top (int): Length of the shortlists. Those of videos contain captions of all processes.
        counted (Tensor): False for captions that another process has too, so that no caption is listed
            twice, (N,).

    Returns:
        Tensor: True for pairs to score exactly, (N, V).
    """
    listed = torch.zeros_like(cheap, dtype=torch.bool)
    listed.scatter_(1, cheap.topk(min(top, cheap.shape[1]), dim=1).indices, True)
    best = cheap.new_full((top, cheap.shape[1]), float('-inf'))
    here = min(top, len(cheap))
    best[:here] = cheap.masked_fill(~counted[:, None], float('-inf')).topk(here, dim=0).values
    return listed | (cheap >= torch.cat(all_gather(best)).topk(top, dim=0).values[-1])


def report_rerank(top: int, listed: Tensor, video_index: Tensor, counted: Tensor) -> dict[str, int]:
    """Count over all processes how many captions are not on a shortlist with their own video.

    Args:
        top (int): Length of the shortlists.
        listed (Tensor): Whether each pair is on a shortlist, see :func:`rerank`, (N, V).
        video_index (Tensor): Index of the video of each caption, (N,).
        counted (Tensor): False for captions that another process has too, (N,).
    """
    missed = (~listed[torch.arange(len(video_index)), video_index] & counted).sum()
    both = torch.stack([missed, counted.sum()])
    all_reduce(both)
    return {'rerank/top': top, 'rerank/missed': int(both[0]), 'rerank/captions': int(both[1])}
