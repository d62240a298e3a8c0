"""Print rows for people and for programs: a table, columns separated by tabs, CSV, or JSON lines."""

import csv
import json
from collections.abc import Sequence
from typing import Any, NamedTuple, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

# Characters that would break a line or a column, or steer a terminal.
ESCAPES = {code: repr(chr(code))[1:-1] for code in (*range(32), 127, *range(128, 160), 0x2028, 0x2029)}


class Row(NamedTuple):
    """A row to print.

    Args:
        fields (dict[str, Any]): Plain values by column, for JSON and CSV.
        cells (dict[str, str]): Text by column, for people.
        note (str): A line for people: under the file in a table, and the last column of text.

    Examples:
        >>> Row(dict(file='/v.mp4', start=62.5), dict(file='/v.mp4', moment='1:02.5')).cells['moment']
        '1:02.5'
    """

    fields: dict[str, Any]
    cells: dict[str, str]
    note: str = ''


class Printer:
    """Prints rows to a stream.

    Args:
        stream (TextIO): Where to.
        form (str, optional): ``'json'``, ``'csv'``, ``'text'`` or ``'table'``; by default a table on a
            terminal, and else text.

    Examples:
        >>> import sys
        >>> row = Row(dict(file='a.mp4', start=None), dict(file='a.mp4', moment='whole'))
        >>> for form in ('json', 'text'):
        ...     Printer(sys.stdout, form).print_rows([row])
        {"file": "a.mp4", "start": null}
        a.mp4	whole
    """

    def __init__(self, stream: TextIO, form: str | None = None) -> None:
        self.stream = stream
        self.form = form or ('table' if stream.isatty() else 'text')
        self._has_header = False

    @property
    def is_for_people(self) -> bool:
        """Whether the output is a table or text."""
        return self.form in ('table', 'text')

    def print_rows(self, rows: Sequence[Row], title: str = '') -> None:
        """Print rows of equal columns; the header of a CSV file is printed once.

        Args:
            rows (Sequence[Row]): The rows.
            title (str): Title of a table.
        """
        if self.form == 'table':
            self._print_table(rows, title)
        elif self.form == 'csv':
            self._print_csv(rows)
        else:
            for row in rows:
                if self.form == 'json':
                    self.print_line(json.dumps(row.fields))
                else:
                    cells = [*row.cells.values(), *([row.note] if row.note else [])]
                    self.print_line('\t'.join(escape_controls(cell) for cell in cells))
        self.stream.flush()

    def print_line(self, line: str) -> None:
        """Print a line as it is."""
        self.stream.write(line + '\n')

    def _print_table(self, rows: Sequence[Row], title: str) -> None:
        if not rows:
            return
        table = Table(title=Text(escape_controls(title)) if title else None, title_justify='left')
        for column in rows[0].cells:
            table.add_column(column, overflow='fold', justify='right' if column == 'score' else 'left')
        for row in rows:
            cells = {column: Text(escape_controls(cell)) for column, cell in row.cells.items()}  # no markup
            if row.note:
                cells['file'].append(f'\n{escape_controls(row.note)}', style='dim')
            table.add_row(*cells.values())
        Console(file=self.stream).print(table)

    def _print_csv(self, rows: Sequence[Row]) -> None:
        writer = csv.writer(self.stream, lineterminator='\n')
        for row in rows:
            if not self._has_header:
                writer.writerow(row.fields)
                self._has_header = True
            values = row.fields.values()
            writer.writerow(json.dumps(v) if isinstance(v, dict) else v for v in values)


def escape_controls(text: str) -> str:
    r"""Escape characters that would break a line or a column, or steer a terminal.

    Examples:
        >>> escape_controls('a\tb\x1b[31m')
        'a\\tb\\x1b[31m'
    """
    return text.translate(ESCAPES)
