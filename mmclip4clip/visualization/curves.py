import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmengine.logging import print_log


@dataclass
class RunCurves:
    """Losses and evaluations of a training, as its work dir has them.

    Args:
        name (str): Name of the run in a legend.
        losses (dict[str, list[tuple[int, float]]]): Iteration and value of each logged loss, by its name.
        evaluations (list[dict]): Entries of ``metrics.json``, oldest first.

    Examples:
        >>> run = RunCurves('a', dict(loss=[(20, 3.5)]), [dict(stage='val', epoch=1, iter=20, R1=50.0)])
        >>> run.values('R1', 'val')
        [(20, 50.0)]
    """

    name: str
    losses: dict[str, list[tuple[int, float]]]
    evaluations: list[dict]

    def values(self, key: str, stage: str) -> list[tuple[int, float]]:
        """Return iteration and value of a metric in the evaluations of a stage, ``'val'`` or ``'test'``."""
        found = [entry for entry in self.evaluations if entry.get('stage') == stage and key in entry]
        return [(entry.get('iter') or 0, entry[key]) for entry in found]


def read_losses(work_dir: Path) -> dict[str, list[tuple[int, float]]]:
    r"""Read the losses that a training has logged, over all its starts.

    A resumed training may log an iteration again; then the later start counts. A line that cannot be read,
    such as the last one of a killed process, is skipped with a warning.

    Args:
        work_dir (Path): Work dir of the training.

    Returns:
        dict[str, list[tuple[int, float]]]: Iteration and value, by the name of the loss.

    Raises:
        FileNotFoundError: If there is no log of scalars.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     log = Path(folder, '20260101_000000/vis_data/scalars.json')
        ...     log.parent.mkdir(parents=True)
        ...     _ = log.write_text('{"loss": 2.5, "iter": 10}\n{"loss": 1.5, "iter": 20}\n')
        ...     read_losses(Path(folder))
        {'loss': [(10, 2.5), (20, 1.5)]}
    """
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'{work_dir} has no */vis_data/scalars.json: it is not the work dir of a training'
        )
    losses: dict[str, dict[int, float]] = {}
    for file in files:
        for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), 1):
            try:
                entry = json.loads(line)
                values = {key: float(entry[key]) for key in entry if key.startswith('loss')}
                iteration = int(entry['iter']) if values else 0
            except (ValueError, TypeError, LookupError) as error:
                print_log(f'{file}: line {number} is skipped: {error!r}', 'current', logging.WARNING)
                continue
            for key, value in values.items():
                losses.setdefault(key, {})[iteration] = value
    return {key: sorted(values.items()) for key, values in losses.items()}


def draw_curves(path: Path, runs: Sequence[RunCurves], keys: Sequence[str]) -> None:
    """Draw the losses of runs and their validations by iteration, and their last tests as lines.

    Args:
        path (Path): The picture to write.
        runs (Sequence[RunCurves]): The runs, one color each.
        keys (Sequence[str]): Metrics to draw, one panel each, beside the panel of the loss.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> run = RunCurves('a', dict(loss=[(1, 2.5), (2, 1.5)]), [dict(stage='val', iter=2, R1=50.0)])
        >>> with TemporaryDirectory() as folder:
        ...     draw_curves(Path(folder, 'runs.png'), [run], ['R1'])
        ...     Path(folder, 'runs.png').stat().st_size > 1000
        True
    """
    columns = min(3, 1 + len(keys))
    rows = -(-(1 + len(keys)) // columns)
    figure = Figure(figsize=(4.5 * columns, 3.2 * rows + 0.2 * len(runs)), dpi=110)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for number, run in enumerate(runs):
        color = f'C{number % 10}'
        panels[0].plot(*zip(*run.losses.get('loss', [])), color=color, label=run.name)
        for panel, key in zip(panels[1:], keys):
            validations, tests = run.values(key, 'val'), run.values(key, 'test')
            if validations:
                panel.plot(*zip(*validations), 'o-', color=color, markersize=4)
            if tests:
                panel.axhline(tests[-1][1], color=color, linestyle='--')
    for panel, title in zip(panels, ['loss', *keys]):
        panel.set(title=title, xlabel='iteration')
        panel.grid(alpha=0.3)
    for panel in panels[1 + len(keys) :]:
        panel.axis('off')
    legend = figure.legend(loc='lower center', title='dots: validations, dashed: the last test')
    for text in legend.get_texts():
        text.set_parse_math(False)  # a $ in a name is a $
    figure.tight_layout(rect=(0, 0.06 + 0.05 * len(runs), 1, 1))
    canvas.print_figure(str(path))
