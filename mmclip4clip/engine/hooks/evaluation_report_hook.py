import json
import logging
import uuid
import warnings
from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner.base_loop import BaseLoop

from ...evaluation.report_context import ReportContext
from ..metrics_file import METRICS, append_entry
from ..picture_sending import send_pictures
from ..resume.missing_evaluation import RUN_ID


@HOOKS.register_module()
class EvaluationReportHook(Hook):
    """Save the metrics of each evaluation, and report them as tables, pictures and pages.

    The hook writes the metrics to the visualizer's backends and to ``metrics.json`` in the work dir, a list
    with one entry per evaluation. It then calls the method ``report`` of each metric that has one with a
    :class:`ReportContext`. The method logs a table, or writes pictures and pages.

    Args:
        gallery (int, optional): Number of queries in the retrieval picture. Half of them are the best, half
            the worst, all of different videos. 0 draws no picture. None disables the retrieval report.
        top (int): Number of retrieved videos per query in the picture.
        page (int, optional): Number of videos on the caption page, a third each of the best, the middle and
            the worst. None disables the caption report.
        picture (int): Number of videos in the caption picture, selected in the same way.

    Raises:
        ValueError: If ``page`` or ``picture`` is below 1.

    Examples:
        >>> EvaluationReportHook(gallery=0).report_options
        {'gallery': 0, 'top': 3, 'page': 24, 'picture': 6}
    """

    priority = 'LOW'
    keeps_figures = True

    def __init__(
        self, gallery: int | None = 8, top: int = 3, page: int | None = 24, picture: int = 6
    ) -> None:
        for name, number in (('page', page), ('picture', picture)):
            if number is not None and number < 1:
                raise ValueError(f'{name} must be at least 1, got {number}')
        self.report_options: dict[str, Any] = dict(gallery=gallery, top=top, page=page, picture=picture)
        self._run = uuid.uuid4().hex  # distinguishes the entries of several runs in one work dir

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Report a validation; mmengine's LoggerHook sends its metrics to the visualizer."""
        self._report(runner, 'val', metrics or {})

    def after_test_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Report a test, and send its metrics to the visualizer, because LoggerHook does not."""
        if self.keeps_figures:
            runner.visualizer.add_scalars({k: v for k, v in (metrics or {}).items() if isinstance(v, float)})
        self._report(runner, 'test', metrics or {})

    @master_only
    def _report(self, runner, stage: str, metrics: dict[str, float]) -> None:
        loop = getattr(runner, f'{stage}_loop')
        dataset = getattr(getattr(loop, 'dataloader', None), 'dataset', None)
        if self.keeps_figures:
            self._keep_figures(runner, stage, metrics, dataset)
        context = ReportContext(
            stage, Path(runner.work_dir), metrics, dataset, logger=runner.logger, **self.report_options
        )
        for metric in loop.evaluator.metrics:
            report = getattr(metric, 'report', None)
            if callable(report):
                report(context)
        if context.pictures:
            trained = isinstance(runner._train_loop, BaseLoop)
            send_pictures(runner.visualizer, context.pictures, runner.epoch if trained else 0)

    def _keep_figures(self, runner, stage: str, metrics: dict[str, float], dataset) -> None:
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
        except OSError as error:  # such as a full disk, which must not end a long training
            runner.logger.log(
                logging.ERROR, f'{path} could not be written: {error}. Missing entry: {json.dumps(entry)}'
            )
        else:
            runner.logger.info(f'{stage}: the metrics are saved to {path}')


@HOOKS.register_module()
class RetrievalReportHook(EvaluationReportHook):
    """Former name of :class:`EvaluationReportHook` without the caption report.

    Args:
        gallery (int): See :class:`EvaluationReportHook`.
        top (int): See :class:`EvaluationReportHook`.

    Examples:
        >>> default_hooks = dict(report=dict(type='RetrievalReportHook', gallery=8))  # warns
        >>> default_hooks = dict(report=dict(type='EvaluationReportHook', gallery=8, page=None))  # the same
    """

    def __init__(self, gallery: int = 8, top: int = 3) -> None:
        _warn_of_name(type(self).__name__, 'gallery and top')
        super().__init__(gallery, top, page=None)


@HOOKS.register_module()
class CaptionReportHook(EvaluationReportHook):
    """Former name of the caption report of :class:`EvaluationReportHook`.

    Args:
        page (int): See :class:`EvaluationReportHook`.
        picture (int): See :class:`EvaluationReportHook`.

    Raises:
        ValueError: If a number is below 1.

    Examples:
        >>> default_hooks = dict(caption_report=dict(type='CaptionReportHook', page=24))  # warns
        >>> default_hooks = dict(report=dict(type='EvaluationReportHook', page=24))  # reports both
    """

    keeps_figures = False

    def __init__(self, page: int = 24, picture: int = 6) -> None:
        _warn_of_name(type(self).__name__, 'page and picture')
        super().__init__(gallery=None, page=page, picture=picture)


def _warn_of_name(name: str, arguments: str) -> None:
    warnings.warn(
        f'{name} is now EvaluationReportHook with the arguments {arguments}: write dict(type='
        "'EvaluationReportHook', ...) in default_hooks.report, without caption_report",
        FutureWarning,
        stacklevel=3,
    )
