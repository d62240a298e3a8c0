"""The report of generated captions: a table, a list, a page and a picture."""

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

    The list holds every video: references, generated caption, CIDEr and why it could not be read, if so. The
    page shows frames of the videos that CIDEr puts first, in the middle and last, the picture some of them.
    They replace those of an earlier evaluation.

    Args:
        context (ReportContext): The evaluation.
        records (list[VideoRecord]): Its videos, with ``generated`` and ``cider``.
        prefix (str): That of the metric's figures.
    """
    table = format_caption_table(context.figures_of(prefix))
    page = context.work_dir / 'captions' / f'{context.stage}.html'
    print_log(
        f'{context.stage}: {len(records)} generated captions, shown in {page} and listed beside it\n{table}',
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
    """Write the page and the picture; the frames of a video in both are read once."""
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


def read_frames(record: VideoRecord) -> np.ndarray | None:
    """Read the frames to show of a video, unless it is known that they cannot be read."""
    return None if record.unreadable is not None else read_strip(record.filename, record.window)


def choose_examples(scores: Sequence[float], count: int) -> list[int]:
    """Choose items from the top, the middle and the bottom of a ranking.

    Args:
        scores (Sequence[float]): A score an item, more is better.
        count (int): Items to choose.

    Returns:
        list[int]: At most ``count`` indices, best first, of equal scores the earlier first.

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
