"""Print the mean and the spread of the last test of several runs, for example of several seeds."""
import argparse
import json
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

KEYS = ('R1', 'R5', 'R10', 'MdR', 'MnR', 'v2t_R1', 'v2t_R5', 'v2t_R10', 'v2t_MdR', 'v2t_MnR', 'group_R1')


def last_test(path: Path) -> dict:
    """Read the figures of the last test in a ``metrics.json``."""
    entries = [entry for entry in json.loads(path.read_text()) if entry['stage'] == 'test']
    if not entries:
        raise SystemExit(f'{path} has no entry of tools/test.py')
    return {key: entries[-1].get(f'retrieval/{key}') for key in KEYS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', nargs='+', help='NAME=metrics.json,metrics.json,... for each row')
    args = parser.parse_args()
    table = Table('', 'runs', *KEYS)
    for run in args.runs:
        name, _, paths = run.partition('=')
        tests = [last_test(Path(path)) for path in paths.split(',')]
        cells = []
        for key in KEYS:
            values = [test[key] for test in tests if test[key] is not None]
            cells.append(f'{statistics.mean(values):.1f} ± '
                         f'{statistics.stdev(values) if len(values) > 1 else 0:.1f}' if values else '')
        table.add_row(name, str(len(tests)), *cells)
    Console(width=200).print(table)


if __name__ == '__main__':
    main()
