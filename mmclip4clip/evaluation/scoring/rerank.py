"""Score only the most promising pairs, for adapters with an expensive pair score."""

from collections.abc import Iterable, Iterator

import torch
from mmengine.dist import all_gather, all_reduce
from torch import Tensor

from ...models.adapters import RerankableAdapter
from ...models.adapters.base import cosine
from ...models.features import Features, count_features, take_features

AT_ONCE = 2**21  # cheap scores in memory, 8 MiB and some copies


class RerankedScores:
    """Exact scores of shortlisted pairs; all others rank below them by the cheap score.

    Only the scores of the shortlists are kept. The cheap scores are computed in blocks of captions, whenever
    they are needed.

    Args:
        adapter (RerankableAdapter): Adapter that scores the pairs.
        text (dict[str, Tensor]): Features of the N captions of this process.
        videos (dict[str, Tensor]): Features of all V videos.
        top (int): Length k of the shortlists, see :func:`shortlist`.
        counted (Tensor): False for captions that another process has too, (N,).

    Examples:
        >>> from mmclip4clip.models import WTIAdapter
        >>> adapter = WTIAdapter(4, num_layers=0).eval()
        >>> videos = adapter.encode(torch.eye(4)[:3, None], torch.ones(3, 1))
        >>> text = dict(tokens=torch.eye(4)[:2, None], text_mask=torch.ones(2, 1))
        >>> scores = RerankedScores(adapter, text, videos, top=1, counted=torch.tensor([True, True]))
        >>> scores.rows(slice(0, 2)).argmax(dim=1)
        tensor([0, 1])
    """

    def __init__(
        self, adapter: RerankableAdapter, text: Features, videos: Features, top: int, counted: Tensor
    ) -> None:
        self.adapter, self.text, self.videos = adapter, text, videos
        self.count, self.total = count_features(text), count_features(videos)
        plain = type(adapter).cheap_similarity is RerankableAdapter.cheap_similarity
        self.vectors = (adapter.cheap_text(text), adapter.cheap_video(videos)) if plain else None
        worst = worst_listed(self._cheap_blocks(), top, counted)
        pairs, start = [], 0
        for cheap in self._cheap_blocks():
            pairs.append(shortlist(cheap, top, worst).flatten().nonzero().squeeze(1) + start * self.total)
            start += len(cheap)
        self.pairs = torch.cat(pairs)
        # In one call, because adapters prepare all videos in each.
        self.exact = adapter.pair_similarity(text, videos, self.pairs)
        self.lowest = self.exact.min() if len(self.exact) else worst.new_tensor(float('inf'))
        all_reduce(self.lowest, 'min')

    def _cheap(self, block: slice) -> Tensor:
        if self.vectors is None:  # the adapter has a cheap score of its own
            return self.adapter.cheap_similarity(take_features(self.text, block), self.videos)
        return cosine(self.vectors[0][block], self.vectors[1])

    def _cheap_blocks(self) -> Iterator[Tensor]:
        height = max(1, AT_ONCE // max(1, self.total))
        for start in range(0, max(1, self.count), height):
            yield self._cheap(slice(start, start + height))

    def rows(self, block: slice) -> Tensor:
        """Return the scores of some captions with all videos, (n, V)."""
        start, stop, _ = block.indices(self.count)
        scores = self._cheap(slice(start, stop)) + (self.lowest - 2)  # below every exact score
        ends = torch.searchsorted(self.pairs, self.pairs.new_tensor([start, stop]) * self.total).tolist()
        listed = slice(*ends)
        captions, videos = self.pairs[listed] // self.total - start, self.pairs[listed] % self.total
        scores[captions, videos] = self.exact[listed].to(scores.dtype)
        return scores

    def lists(self, video_index: Tensor) -> Tensor:
        """Return whether each caption is on a shortlist with a video, (N,), given by its index, (N,)."""
        captions = torch.arange(self.count, device=video_index.device)
        return torch.isin(captions * self.total + video_index, self.pairs)


def worst_listed(blocks: Iterable[Tensor], top: int, counted: Tensor) -> Tensor:
    """Return the lowest cheap score with which a caption is on the shortlist of each video.

    Args:
        blocks (Iterable[Tensor]): Cheap scores of the captions of this process in blocks, each (n, V).
        top (int): Length of the shortlists. They contain captions of all processes.
        counted (Tensor): False for captions that another process has too, so that no caption is listed
            twice, (N,).

    Returns:
        Tensor: Scores, minus infinity if all captions are listed, (V,).
    """
    best, start = None, 0
    for cheap in blocks:
        if best is None:
            best = cheap.new_full((top, cheap.shape[1]), float('-inf'))
        own = cheap.masked_fill(~counted[start : start + len(cheap), None], float('-inf'))
        best = torch.cat([best, own]).topk(top, dim=0).values
        start += len(cheap)
    return torch.cat(all_gather(best)).topk(top, dim=0).values[-1]


def shortlist(cheap: Tensor, top: int, worst: Tensor) -> Tensor:
    """Keep the best ``top`` videos of each caption, and the captions that are on the lists of the videos.

    Args:
        cheap (Tensor): Cheap scores of some captions, (n, V).
        top (int): Length of the shortlists.
        worst (Tensor): Lowest score on the list of each video, see :func:`worst_listed`, (V,).

    Returns:
        Tensor: True for pairs to score exactly, (n, V).
    """
    listed = torch.zeros_like(cheap, dtype=torch.bool)
    listed.scatter_(1, cheap.topk(min(top, cheap.shape[1]), dim=1).indices, True)
    return listed | (cheap >= worst)


def report_rerank(top: int, listed: Tensor, counted: Tensor) -> dict[str, int]:
    """Count over all processes how many captions are not on a shortlist with their own video.

    Args:
        top (int): Length of the shortlists.
        listed (Tensor): Whether each caption is on a shortlist with its own video, (N,).
        counted (Tensor): False for captions that another process has too, (N,).
    """
    both = torch.stack([(~listed & counted).sum(), counted.sum()])
    all_reduce(both)
    return {'rerank/top': top, 'rerank/missed': int(both[0]), 'rerank/captions': int(both[1])}
