"""Compare trainings: one table of losses, validations and tests, and one picture of their curves."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', nargs='+', help='work dirs of trainings, as DIR or NAME=DIR')
    parser.add_argument(
        '--keys',
        nargs='+',
        default=['retrieval/R1', 'retrieval/R5', 'retrieval/R10'],
        help='metrics to compare, as metrics.json names them (default: %(default)s)',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('runs.png'), help='picture to write (default: %(default)s)'
    )
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from rich.console import Console
from rich.table import Table

from mmclip4clip.engine.metrics_file import METRICS, read_entries
from mmclip4clip.visualization.curves import RunCurves, draw_curves, read_losses


def read_run(argument: str) -> RunCurves:
    """Read a run that is given as DIR or NAME=DIR."""
    name, _, folder = argument.rpartition('=')
    work_dir = Path(folder)
    try:
        entries = [
            entry
            for file in (work_dir / METRICS, *sorted(work_dir.glob(f'*/{METRICS}')))  # tests have their own
            if file.exists()
            for entry in read_entries(file)
        ]
        return RunCurves(name or work_dir.name, read_losses(work_dir), entries)
    except (OSError, ValueError) as error:
        raise SystemExit(f'{argument}: {error}') from error


def cells(run: RunCurves, key: str) -> list[str]:
    """Show the best validation with its iteration, the last one, and the last test of a metric."""
    validations, tests = run.values(key, 'val'), run.values(key, 'test')
    best = '-'
    if validations:
        choose = min if key.endswith(('MdR', 'MnR')) else max
        iteration, value = choose(validations, key=lambda point: point[1])
        best = f'{value:.1f} ({iteration})'
    return [best, *(f'{points[-1][1]:.1f}' if points else '-' for points in (validations, tests))]


def main(args: argparse.Namespace) -> None:
    runs = [read_run(argument) for argument in args.runs]
    table = Table('run', 'metric', 'best validation (iteration)', 'last validation', 'last test')
    for run in runs:
        losses = run.losses.get('loss')
        table.add_row(
            run.name, 'loss', '-', f'{losses[-1][1]:.3f} ({losses[-1][0]}), training' if losses else '-', '-'
        )
        for key in args.keys:
            table.add_row('', key, *cells(run, key))
    Console().print(table)
    draw_curves(args.out, runs, args.keys)
    print(f'picture {args.out}')


if __name__ == '__main__':
    main(args)
