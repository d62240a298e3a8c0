"""Input of the reports of an evaluation."""

from dataclasses import dataclass, field
from logging import Logger
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ReportContext:
    """Finished evaluation, the argument of the method ``report`` of metrics.

    Args:
        stage (str): ``'val'`` or ``'test'``, used in file names.
        work_dir (Path): Folder for reports.
        figures (dict[str, float]): Values of all metrics.
        dataset (optional): Evaluated dataset.
        gallery (int, optional): Number of queries in the retrieval picture; 0 draws no picture, None disables
            the retrieval report.
        top (int): Number of retrieved videos per query in the picture.
        page (int, optional): Number of videos on the caption page. None disables the caption report.
        picture (int): Number of videos in the caption picture.
        logger (Logger | str): Argument ``logger`` of mmengine's ``print_log``.
        pictures (list[Path]): PNG files that the reports have drawn, which a report adds.

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
    pictures: list[Path] = field(default_factory=list)

    def figures_of(self, prefix: str) -> dict[str, float]:
        """Return the values of one metric by their keys without its prefix."""
        start = f'{prefix}/'
        return {k.removeprefix(start): v for k, v in self.figures.items() if k.startswith(start)}
