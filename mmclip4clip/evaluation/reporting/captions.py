"""Report generated captions as a table, a list, a page and a picture."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from ...visualization import draw_captions, write_caption_page
from ...visualization.gallery import read_strip
from ..metric_table import format_caption_table
from ..records import VideoRecord
from ..report_context import ReportContext


def report_captions(context: ReportContext, records: list[VideoRecord], prefix: str) -> None:
    """Log the table and write ``captions/{stage}.json``, ``.html`` and ``.png``.

    The JSON list contains all videos with references, generated caption, CIDEr, and the reason for unreadable
    videos. The page shows frames of the videos with the best, middle and worst CIDEr, and the picture a
    few of them. Existing files of an earlier evaluation are replaced.

    Args:
        context (ReportContext): The evaluation.
        records (list[VideoRecord]): Evaluated videos with ``generated`` and ``cider``.
        prefix (str): Prefix of the metric.
    """
    table = format_caption_table(context.figures_of(prefix))
    page = context.work_dir / 'captions' / f'{context.stage}.html'
    print_log(
        f'{context.stage}: {len(records)} generated captions, shown in {page}, all in the .json\n{table}',
        logger=context.logger,
    )
    page.parent.mkdir(exist_ok=True)
    _write_list(page.with_suffix('.json'), records)
    _show(context, page, records, table)


def _write_list(path: Path, records: list[VideoRecord]) -> None:
    listed = []
    for record in records:
        entry = dict(
            video_id=record.video_id,
            window=record.window,
            references=record.captions,
            generated=record.generated,
            CIDEr=record.cider,
        )
        unreadable = record.unreadable is not None
        listed.append(dict(entry, unreadable=record.unreadable) if unreadable else entry)
    path.write_text(json.dumps(listed, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')


def _show(context: ReportContext, page: Path, records: list[VideoRecord], table: str) -> None:
    """Write the page and the picture; videos in both are read once."""
    ciders = [0.0 if record.cider is None else record.cider for record in records]
    places = {video: place for place, video in enumerate(choose_examples(ciders, len(ciders)), start=1)}
    title = f'{context.stage}: generated captions, best, middle and worst by CIDEr'
    strips: dict[int, np.ndarray | None] = {}

    def chosen(count: int) -> tuple[list[VideoRecord], list[np.ndarray | None], list[str]]:
        videos = choose_examples(ciders, count)
        strips.update((v, read_frames(records[v])) for v in videos if v not in strips)
        notes = [f'place {places[v]} of {len(records)}' for v in videos]
        return [records[v] for v in videos], [strips[v] for v in videos], notes

    write_caption_page(page, *chosen(context.page or 0), title, table)
    draw_captions(page.with_suffix('.png'), *chosen(context.picture), title)
    context.pictures.append(page.with_suffix('.png'))


def read_frames(record: VideoRecord) -> np.ndarray | None:
    """Read frames of a video; None for a video that could not be read in the evaluation."""
    return None if record.unreadable is not None else read_strip(record.filename, record.window)


def choose_examples(scores: Sequence[float], count: int) -> list[int]:
    """Choose items from the top, the middle and the bottom of a ranking.

    Args:
        scores (Sequence[float]): Score of each item; higher is better.
        count (int): Number of items to choose.

    Returns:
        list[int]: Up to ``count`` indices, best first; equal scores keep their order.

    Examples:
        >>> choose_examples([5, 0, 9, 3, 7], 3)
        [2, 0, 1]
    """
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    if len(order) <= count:
        return order
    third = count // 3
    best = count - 2 * third
    middle = best + (len(order) - best - third - third) // 2
    return order[:best] + order[middle : middle + third] + order[len(order) - third :]
