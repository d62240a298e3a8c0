import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmaction.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook

from ...evaluation import VideoCaptionMetric
from ...evaluation.table import format_caption_table
from ...visualization import draw_captions, write_caption_page
from ...visualization.gallery import read_strip


@HOOKS.register_module()
class CaptionReportHook(Hook):
    """Show the captions that each evaluation generated, beside what they are of.

    Writes a table to the log, and into ``captions/`` in the work dir, in place of
    what an earlier evaluation left there: ``{stage}.json``, a list with every video, its references,
    what was generated, its CIDEr and, if so, why it could not be read; ``{stage}.html``, a page of
    one file with frames of the videos that CIDEr puts first, in the middle and last;
    ``{stage}.png``, a picture of some of these. :class:`RetrievalReportHook` writes the figures to
    ``metrics.json``.

    Args:
        page (int): Videos on the page, a third each of the best, the middle and the worst.
        picture (int): Videos in the picture, likewise.

    Raises:
        ValueError: If a number is below 1.
    """

    priority = 'LOW'

    def __init__(self, page: int = 24, picture: int = 6) -> None:
        for name, number in (('page', page), ('picture', picture)):
            if number < 1:
                raise ValueError(f'{name} must be at least 1, got {number}')
        self.page, self.picture = page, picture

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Report a validation."""
        self._report(runner, 'val', metrics or {})

    def after_test_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Report a test."""
        self._report(runner, 'test', metrics or {})

    @master_only
    def _report(self, runner, stage: str, metrics: dict[str, float]) -> None:
        for metric in getattr(runner, f'{stage}_loop').evaluator.metrics:
            if isinstance(metric, VideoCaptionMetric) and metric.records:
                start = f'{metric.prefix}/'
                table = format_caption_table(
                    {
                        key.removeprefix(start): value
                        for key, value in metrics.items()
                        if key.startswith(start)
                    }
                )
                page = Path(runner.work_dir) / 'captions' / f'{stage}.html'
                runner.logger.info(
                    f'{stage}: {len(metric.records)} generated captions, shown in {page} and '
                    f'listed beside it\n{table}'
                )
                self._show(page, metric.records, stage, table)

    def _show(self, page: Path, records: list[dict], stage: str, table: str) -> None:
        """Write the list, the page and the picture."""
        page.parent.mkdir(exist_ok=True)
        listed = [
            dict(
                video_id=r['video_id'],
                window=r['window'],
                references=r['captions'],
                generated=r['generated'],
                CIDEr=r['cider'],
                **{key: r[key] for key in ('unreadable',) if key in r},
            )
            for r in records
        ]
        page.with_suffix('.json').write_text(
            json.dumps(listed, indent=1, ensure_ascii=False) + '\n', encoding='utf-8'
        )
        ciders = [record['cider'] for record in records]
        ranking = choose_examples(ciders, len(ciders))
        title, strips = f'{stage}: generated captions, best, middle and worst by CIDEr', {}

        def chosen(count: int) -> tuple[list[dict], list]:
            videos = choose_examples(ciders, count)
            strips.update((v, read_frames(records[v])) for v in videos if v not in strips)
            shown = [dict(records[v], note=f'place {ranking.index(v) + 1} of {len(ranking)}') for v in videos]
            return shown, [strips[v] for v in videos]

        write_caption_page(page, *chosen(self.page), title, table)
        draw_captions(page.with_suffix('.png'), *chosen(self.picture), title)


def read_frames(record: dict) -> np.ndarray | None:
    """Read the frames to show of a video, unless it is known that they cannot be read."""
    return None if 'unreadable' in record else read_strip(record['filename'], record['window'])


def choose_examples(scores: Sequence[float], count: int) -> list[int]:
    """Choose items from the top, the middle and the bottom of a ranking.

    Args:
        scores (Sequence[float]): A score an item, more is better.
        count (int): Items to choose.

    Returns:
        list[int]: At most ``count`` indices, best first, of equal scores the earlier first.
    """
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    if len(order) <= count:
        return order
    third = count // 3
    best = count - 2 * third
    middle = best + (len(order) - best - third - third) // 2
    return order[:best] + order[middle : middle + third] + order[len(order) - third :]
