"""What a report of an evaluation is given."""

from dataclasses import dataclass, field
from logging import Logger
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ReportContext:
    """An evaluation that has ended, for ``report(context)`` of its metrics.

    Args:
        stage (str): ``'val'`` or ``'test'``, for names of files.
        work_dir (Path): Where reports are written.
        figures (dict[str, float]): Those of all metrics.
        dataset (optional): What was evaluated.
        gallery (int, optional): Queries in the picture of retrieval, 0 for no picture. None: no report of
            retrieval.
        top (int): Answers to show a query.
        page (int, optional): Videos on the page of captions. None: no report of captions.
        picture (int): Videos in the picture of captions.
        logger (Logger | str): Where to log, as mmengine's ``print_log`` takes it.

    Examples:
        >>> context = ReportContext('test', Path('work'), {'retrieval/R1': 50.0, 'caption/CIDEr': 9.0})
        >>> context.figures_of('caption')
        {'CIDEr': 9.0}
    """

    stage: str
    work_dir: Path
    figures: dict[str, float] = field(default_factory=dict)
    dataset: Any = None
    gallery: int | None = 8
    top: int = 3
    page: int | None = 24
    picture: int = 6
    logger: Logger | str = 'current'

    def figures_of(self, prefix: str) -> dict[str, float]:
        """Return the figures of one metric, without its prefix."""
        start = f'{prefix}/'
        return {k.removeprefix(start): v for k, v in self.figures.items() if k.startswith(start)}
