import json
import logging
import uuid
from pathlib import Path

import numpy as np
from mmaction.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner.base_loop import BaseLoop

from ...evaluation import VideoTextRetrievalMetric, ranks_of_videos
from ...evaluation.records import stack_scores
from ...evaluation.table import format_table
from ...visualization import draw_gallery
from ..metrics_file import METRICS, append_entry
from ..resume.evaluations import RUN_ID


@HOOKS.register_module()
class RetrievalReportHook(Hook):
    """Report each evaluation where people look for it.

    Writes a table to the log, the figures to the visualizer's backends and to
    ``metrics.json`` in the work dir, a list with one entry an evaluation, and a
    picture of the best and worst queries to ``gallery/``.

    Args:
        gallery (int): Queries in the picture; half of them the best, half the
            worst, no two of one video. 0 draws none.
        top (int): Answers to show a query.
    """

    priority = 'LOW'

    def __init__(self, gallery: int = 8, top: int = 3) -> None:
        self.gallery, self.top = gallery, top
        self._run = uuid.uuid4().hex  # tells what several runs in one work dir report apart

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Report a validation; mmengine's LoggerHook sends its figures to the visualizer."""
        self._report(runner, 'val', metrics or {})

    def after_test_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Report a test, to the visualizer too, which LoggerHook does for validations only."""
        runner.visualizer.add_scalars({k: v for k, v in (metrics or {}).items() if isinstance(v, float)})
        self._report(runner, 'test', metrics or {})

    @master_only
    def _report(self, runner, stage: str, metrics: dict[str, float]) -> None:
        loop = getattr(runner, f'{stage}_loop')
        dataset, evaluator = loop.dataloader.dataset, loop.evaluator
        trained = isinstance(runner._train_loop, BaseLoop)
        run = runner.message_hub.runtime_info.get(RUN_ID, self._run) if trained else self._run
        entry = dict(
            run=run,
            stage=stage,
            epoch=runner.epoch if trained else None,
            iter=runner.iter if trained else None,
            checkpoint=runner._load_from,
            ann_file=getattr(dataset, 'ann_file', None),
            **metrics,
        )
        path = Path(runner.work_dir) / METRICS
        try:
            append_entry(path, entry)
        except OSError as error:  # such as a full disk, which must not end a training of days
            runner.logger.log(
                logging.ERROR, f'{path} could not be written: {error}. What it lacks: {json.dumps(entry)}'
            )
        for metric in evaluator.metrics:
            if isinstance(metric, VideoTextRetrievalMetric) and metric.records:
                count = sum(len(r['captions']) for r in metric.records)
                table = format_table({k.removeprefix(f'{metric.prefix}/'): v for k, v in metrics.items()})
                runner.logger.info(
                    f'{stage}: {count} captions, {len(metric.records)} videos; also in '
                    f'{path}\n{describe_protocol(dataset, metric)}\n{table}'
                )
                if self.gallery:
                    self._draw(runner, stage, metric.records)

    def _draw(self, runner, stage: str, records: list[dict]) -> None:
        scores = stack_scores(records)
        ranks = ranks_of_videos(scores.similarity, scores.video_index)
        chosen = choose_queries(ranks, scores.video_index, self.gallery)
        numbers = np.arange(len(ranks)) - np.searchsorted(scores.video_index, scores.video_index)
        path = Path(runner.work_dir) / 'gallery' / f'{stage}.png'
        path.parent.mkdir(exist_ok=True)
        draw_gallery(
            path,
            records,
            [(int(scores.video_index[q]), int(numbers[q])) for q in chosen],
            ranks[chosen].tolist(),
            self.top,
            f'{stage}: best and worst queries',
        )
        runner.logger.info(f'{stage}: best and worst queries drawn in {path}')


def describe_protocol(dataset, metric: VideoTextRetrievalMetric) -> str:
    """Say of what the figures are: the split, what a query is, and how several captions are counted."""
    queries = dict(all='every caption is a query', paragraph='all captions of a video are one query')
    answers = dict(
        caption_groups='the captions of a video are one answer, as good as the best of them',
        best_caption='every caption is an answer, and the best placed right one counts',
    )
    return 'protocol: {}; {}; video to text by {}: {}'.format(
        getattr(dataset, 'ann_file', 'a dataset without ann_file'),
        queries.get(getattr(dataset, 'caption_mode', None), 'every caption of an item is a query'),
        metric.v2t_protocol,
        answers[metric.v2t_protocol],
    )


def choose_queries(ranks: np.ndarray, video_index: np.ndarray, count: int) -> np.ndarray:
    """Choose the best and the worst ranked captions, one a video, best first.

    Args:
        ranks (np.ndarray): Rank of each caption's video, (N,).
        video_index (np.ndarray): The video of each caption, (N,).
        count (int): Captions to choose.

    Returns:
        np.ndarray: At most ``count`` indices into the captions.
    """
    order = np.argsort(ranks, kind='stable')
    chosen = []
    for direction, share in ((order, count - count // 2), (order[::-1], count // 2)):
        for query in direction:
            if share and video_index[query] not in video_index[chosen]:
                chosen.append(int(query))
                share -= 1
    return np.array(sorted(chosen, key=lambda q: ranks[q]), dtype=int)
