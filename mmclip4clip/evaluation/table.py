import io
from typing import Dict

from rich.console import Console
from rich.table import Table


def format_table(metrics: Dict[str, float]) -> str:
    """Format figures as a table with one row a direction.

    Args:
        metrics (dict[str, float]): As :func:`retrieval_figures` returns them.
    """
    columns = [key for key in metrics if f'v2t_{key}' in metrics]
    table = Table(*['', *(f'R@{c[1:]}' if c[0] == 'R' else c for c in columns)])
    for name, prefix in (('text to video', ''), ('video to text', 'v2t_')):
        table.add_row(name, *(f'{metrics[prefix + c]:.1f}' for c in columns))
    console = Console(width=100, file=io.StringIO())
    console.print(table)
    text = console.file.getvalue().rstrip()
    if 'group_R1' in metrics:
        text += f'\nown video first in its group: {metrics["group_R1"]:.1f} % of captions'
    return text
