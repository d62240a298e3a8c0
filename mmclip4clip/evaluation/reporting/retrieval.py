"""Report retrieval results as a table and a picture of the best and worst queries."""

from typing import Any

import numpy as np
from mmengine.logging import print_log

from ...visualization import draw_gallery
from ..functional import ranks_of_videos
from ..metric_table import format_table
from ..records import VideoRecord, stack_scores
from ..report_context import ReportContext


def report_retrieval(
    context: ReportContext, records: list[VideoRecord], prefix: str, v2t_protocol: str
) -> None:
    """Log the table and draw ``gallery/{stage}.png``, unless ``context.gallery`` is 0.

    Args:
        context (ReportContext): The evaluation.
        records (list[VideoRecord]): Scored videos.
        prefix (str): Prefix of the metric.
        v2t_protocol (str): Protocol of the metric, see :func:`ranks_of_captions`.
    """
    count = sum(len(record.captions) for record in records)
    print_log(
        f'{context.stage}: {count} captions, {len(records)} videos\n'
        f'{describe_protocol(context.dataset, v2t_protocol)}\n{format_table(context.figures_of(prefix))}',
        logger=context.logger,
    )
    if context.gallery:
        _draw(context, records)


def _draw(context: ReportContext, records: list[VideoRecord]) -> None:
    scores = stack_scores(records)
    ranks = ranks_of_videos(scores.similarity, scores.video_index)
    chosen = choose_queries(ranks, scores.video_index, context.gallery or 0)
    numbers = np.arange(len(ranks)) - np.searchsorted(scores.video_index, scores.video_index)
    path = context.work_dir / 'gallery' / f'{context.stage}.png'
    path.parent.mkdir(exist_ok=True)
    draw_gallery(
        path,
        records,
        [(int(scores.video_index[q]), int(numbers[q])) for q in chosen],
        ranks[chosen].tolist(),
        context.top,
        f'{context.stage}: best and worst queries',
    )
    context.pictures.append(path)
    print_log(f'{context.stage}: best and worst queries drawn in {path}', logger=context.logger)


def describe_protocol(dataset: Any, v2t_protocol: str) -> str:
    """Describe the protocol of the metrics: the split, the queries, and how several captions are ranked.

    Examples:
        >>> describe_protocol(None, 'caption_groups')[:67]
        'protocol: a dataset without ann_file; every caption of an item is a'
    """
    queries = dict(all='every caption is a query', paragraph='all captions of a video are one query')
    answers = dict(
        caption_groups='the captions of a video are ranked together, by the best of them',
        best_caption='captions are ranked individually, and the best caption of the video counts',
    )
    return 'protocol: {}; {}; video to text by {}: {}'.format(
        getattr(dataset, 'ann_file', 'a dataset without ann_file'),
        queries.get(getattr(dataset, 'caption_mode', ''), 'every caption of an item is a query'),
        v2t_protocol,
        answers[v2t_protocol],
    )


def choose_queries(ranks: np.ndarray, video_index: np.ndarray, count: int) -> np.ndarray:
    """Choose the captions with the best and worst ranks, at most one per video, best first.

    Args:
        ranks (np.ndarray): Rank of the right video of each caption, (N,).
        video_index (np.ndarray): Index of the video of each caption, (N,).
        count (int): Number of captions to choose.

    Returns:
        np.ndarray: Indices of up to ``count`` captions.

    Examples:
        >>> choose_queries(np.array([1, 7, 2]), np.array([0, 1, 2]), 2)
        array([0, 1])
    """
    order = np.argsort(ranks, kind='stable')
    chosen: list[int] = []
    for direction, share in ((order, count - count // 2), (order[::-1], count // 2)):
        for query in direction:
            if share and video_index[query] not in video_index[chosen]:
                chosen.append(int(query))
                share -= 1
    return np.array(sorted(chosen, key=lambda q: ranks[q]), dtype=int)
