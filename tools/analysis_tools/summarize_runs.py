"""Print mean and standard deviation of the last tests of several runs, such as runs with several seeds."""

import argparse
import math
import statistics
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', nargs='+', help='NAME=metrics.json,metrics.json,... for each row')
    args = parser.parse_args()
    for run in args.runs:
        if not run.partition('=')[2]:
            parser.error(f'expected NAME=metrics.json,metrics.json,... for each row, got {run!r}')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from rich.console import Console
from rich.table import Table

from mmclip4clip.safe_json import read_json, shorten

KEYS = [
    *(
        f'retrieval/{key}'
        for key in (
            'R1',
            'R5',
            'R10',
            'MdR',
            'MnR',
            'v2t_R1',
            'v2t_R5',
            'v2t_R10',
            'v2t_MdR',
            'v2t_MnR',
            'group_R1',
        )
    ),
    *(f'caption/{key}' for key in ('CIDEr', 'Bleu_4', 'METEOR', 'ROUGE_L')),
    *(f'shapes/{key}' for key in ('colour', 'shape', 'motion', 'all_right')),
]


def last_test(path: Path) -> dict:
    """Read the metrics of the last test in a ``metrics.json``."""
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise SystemExit(f'{path} is not a metrics.json of a work dir: {error}') from error
    entries = [
        entry
        for entry in (content if isinstance(content, list) else [])
        if isinstance(entry, dict) and entry.get('stage') == 'test'
    ]
    if not entries:
        raise SystemExit(f'{path} has no entry of tools/test.py: expected the metrics.json of a work dir')
    figures = {key: entries[-1].get(key) for key in KEYS}
    for key, value in figures.items():
        if value is not None and not (type(value) in (int, float) and math.isfinite(value)):
            raise SystemExit(f'{path}: {key} of the last test must be a finite number, got {shorten(value)}')
    return figures


def main(args: argparse.Namespace) -> None:
    rows = []
    for run in args.runs:
        name, _, paths = run.partition('=')
        rows.append((name, [last_test(Path(path)) for path in paths.split(',')]))
    keys = [key for key in KEYS if any(test[key] is not None for _, tests in rows for test in tests)]
    table = Table('', 'runs', *(key.split('/')[1] for key in keys))
    for name, tests in rows:
        cells = []
        for key in keys:
            values = [test[key] for test in tests if test[key] is not None]
            if 0 < len(values) < len(tests):
                raise SystemExit(
                    f'{name}: {len(tests) - len(values)} of its {len(tests)} runs have '
                    f'no {key}, so there is no mean of all runs'
                )
            cells.append(
                f'{statistics.mean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else 0:.1f}'
                if values
                else ''
            )
        table.add_row(name, str(len(tests)), *cells)
    Console(width=300).print(table)


if __name__ == '__main__':
    main(args)
