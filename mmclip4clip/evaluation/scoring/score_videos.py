"""Score all pairs of captions and videos of an evaluation, distributed over the processes."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ...models.adapters import RerankableAdapter
from ...models.features import (
    Features,
    as_features,
    cat_features,
    count_features,
    join_features,
    move_features,
    take_features,
)
from .. import score_rows
from ..cosine_scores import compares_cosines, cosine_rows
from ..records import VideoRecord
from ..unreadable import blank_fields, is_unreadable, rank_last
from .query_bank import QueryBank
from .rerank import RerankedScores, report_rerank
from .store_scores import store_scores


@torch.no_grad()
def score_videos(
    model: Any,
    samples: list[BaseDataElement],
    total: int | None = None,
    rerank_top: int | None = None,
    query_bank: QueryBank | None = None,
    fp16: bool = False,
    in_blocks: bool = False,
    folder: str | None = None,
) -> dict[str, int]:
    """Set ``scores`` (N_i, V) of each video, the scores of its captions for all videos.

    Each process scores the captions of its own videos. With a query bank, each video also gets
    ``bank_scores`` (B,), the scores of the bank's captions for it. Unreadable videos are handled by
    :mod:`mmclip4clip.evaluation.unreadable`. Finally each sample gets a ``record``, a :class:`VideoRecord`.

    Args:
        model (nn.Module): Unwrapped model with ``similarity``. ``rerank_top`` also needs ``adapter``, and a
            query bank ``encode_text``.
        samples (list[BaseDataElement]): Videos of this process in the order of its sampler, each with
            ``video_features`` and the ``text_features`` of its captions, on any device.
        total (int, optional): Number of videos of all processes, without the padding of the sampler; by
            default the number of samples.
        rerank_top (int, optional): Length of shortlists, if only shortlisted pairs are scored, see
            :class:`RerankedScores`.
        query_bank (QueryBank, optional): Query bank to score the videos with.
        fp16 (bool): Whether the captions of the bank are encoded in mixed precision.
        in_blocks (bool): Whether the metrics accept scores that are not in memory. Those of a large
            evaluation are then computed whenever they are read if the head compares cosines, see
            :class:`CosineRows`, and otherwise written to a temporary file, see :class:`StoredRows`.
        folder (str, optional): Folder of that file; by default that of the system, ``$TMPDIR``.

    Returns:
        dict[str, int]: Additional metrics of re-ranking.

    Raises:
        KeyError: If a sample has no ``video_id``, ``filename`` or ``captions``.
        ValueError: If there are no samples, a score is NaN or infinite, or the adapter cannot re-rank.
        OSError: If ``folder`` has too little space for the scores.

    Examples:
        >>> import torch
        >>> from mmaction.structures import ActionDataSample
        >>> from mmclip4clip.evaluation.scoring import score_videos
        >>> model = torch.nn.Linear(1, 1)
        >>> model.similarity = lambda text, videos: text['text'] @ videos['video'].T
        >>> video = ActionDataSample(metainfo=dict(video_id='v', filename='v.mp4', captions=['a cat']))
        >>> video.set_field(dict(video=torch.tensor([1., 0.])), 'video_features')
        >>> video.set_field(dict(text=torch.tensor([[3., 4.]])), 'text_features')
        >>> score_videos(model, [video]), video.scores
        ({}, tensor([[3.]]))
        >>> video.record.scores
        array([[3.]], dtype=float32)
    """
    total = len(samples) if total is None else total
    if not samples:
        raise ValueError('there are no videos to score: samples is empty')
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
    _wrap_features(samples)
    gathered = _gather_in_order([sample.video_features for sample in samples], total)
    videos = move_features(join_features(gathered), device)
    text = move_features(cat_features([sample.text_features for sample in samples]), device)
    counts = [count_features(sample.text_features) for sample in samples]
    extra: dict[str, int] = {}
    unreadable = _blank_unreadable(samples, total)
    rows: Sequence[Any]
    in_blocks = in_blocks and _many(counts, total)
    if rerank_top is None and in_blocks and compares_cosines(model, text, videos):
        rows = cosine_rows(text, videos, unreadable, counts)
    else:

        def score(block: slice) -> Tensor:
            return model.similarity(take_features(text, block), videos)

        if rerank_top is not None:
            score, extra = _rerank(model.adapter, text, videos, counts, total, rerank_top)
        if in_blocks:
            all_counts = _gather_in_order(counts, total)
            rows = store_scores(score, unreadable, counts, all_counts, folder)
        else:
            rows = _rank_last(score(slice(None)).cpu(), unreadable, device).split(counts)
    for sample, part in zip(samples, rows):
        sample.set_field(part, 'scores')
    if query_bank is not None:
        query_bank.add_scores(samples, model, device, fp16)
    for sample in samples:
        sample.set_field(VideoRecord.from_fields(sample), 'record')
    return extra


def _wrap_features(samples: list[BaseDataElement]) -> None:
    """Convert the features of samples of custom models to dicts."""
    for sample in samples:
        for key in ('video_features', 'text_features'):
            sample.set_field(as_features(sample.get(key), f'the model, in {key},'), key)


def _many(counts: list[int], total: int) -> bool:
    """Return whether all processes together have more scores than are kept in memory."""
    captions = torch.tensor(sum(counts))
    all_reduce(captions)
    return int(captions) * total > score_rows.KEPT


def _blank_unreadable(samples: list[BaseDataElement], total: int) -> Tensor:
    """Replace the results of unreadable videos in this process; return which of all are unreadable, (V,)."""
    for sample in samples:
        for key, value in blank_fields(sample).items():
            kind = 'metainfo' if key in sample.metainfo_keys() else 'data'
            sample.set_field(value, key, field_type=kind)
    return torch.tensor(_gather_in_order([is_unreadable(sample) for sample in samples], total))


def _rank_last(scores: Tensor, unreadable: Tensor, device: torch.device) -> Tensor:
    """Check scores, and rank unreadable videos last."""
    bad = (~torch.isfinite(scores)).sum().to(device)
    all_reduce(bad)
    if bad:  # raised in every process, so that none waits for another
        raise ValueError(f'{int(bad)} similarities are NaN or infinite, so they cannot be ranked')
    lowest = scores.min() if scores.numel() else torch.tensor(float('inf'))
    all_reduce(lowest, 'min')
    return rank_last(scores, unreadable, lowest)


def _rerank(adapter: nn.Module, text: Features, videos: Features, counts: list[int], total: int, top: int):
    """Score only shortlisted pairs, and log that the metrics are approximate; return a function of slices."""
    if not isinstance(adapter, RerankableAdapter):
        raise ValueError(
            f'rerank_top={top} needs a RerankableAdapter, which scores single pairs, such as '
            f'TightAdapter; {type(adapter).__name__} scores all pairs at once'
        )
    index = torch.arange(len(counts)) * get_world_size() + get_rank()  # the order of the sampler
    index = index.repeat_interleave(torch.tensor(counts)).to(next(iter(text.values())).device)
    scores = RerankedScores(adapter, text, videos, top, index < total)
    extra = report_rerank(top, scores.lists(index % total), index < total)
    print_log(
        'approximate metrics: only the best {rerank/top} of a cheap score were scored; '
        '{rerank/missed} of {rerank/captions} captions were not shortlisted with their own '
        'video'.format(**extra),
        logger='current',
        level=30,
    )
    return scores.rows, extra


def _gather_in_order(pieces: list, total: int) -> list:
    """Gather a list that is distributed over processes round-robin, without the padding of the sampler."""
    if get_world_size() == 1:
        return pieces
    return list(chain.from_iterable(zip_longest(*all_gather_object(pieces))))[:total]
