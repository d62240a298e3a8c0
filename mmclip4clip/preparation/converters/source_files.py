"""Read official annotation files, with errors that name the file and its expected format."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import safe_json
from ...safe_json import shorten
from ...safe_pickle import PlainUnpickler


class FormatError(ValueError):
    """Raised if a file does not have the expected format; the message names both.

    Examples:
        >>> try:
        ...     with expecting_format(Path('a.json'), '{video: [caption, ...]}') as place:
        ...         place.entry = 'v1'
        ...         check_type('a cat', list)
        ... except FormatError as error:
        ...     print(error)
        a.json is not of the form {video: [caption, ...]}: at 'v1' TypeError("expected list, got 'a cat'")
    """


@dataclass
class Place:
    """Position of a reader in a file, for error messages.

    Attributes:
        entry (str | int, optional): Key, number or name of the current entry.
    """

    entry: Any = None


@contextmanager
def expecting_format(path: Path, form: str) -> Iterator[Place]:
    """Convert errors from missing keys or invalid values into errors about the file.

    Yields:
        Place: Position in the file. The reader sets its ``entry``.

    Raises:
        FormatError: In place of KeyError, TypeError, ValueError and similar errors.
    """
    place = Place()
    try:
        yield place
    except FormatError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        at = '' if place.entry is None else f' at {shorten(place.entry)}'
        raise FormatError(f'{path} is not of the form {form}:{at} {error!r:.500}') from error


def check_type(value: Any, *types: type) -> Any:
    """Return the value if it is exactly of one of these types; a bool is not an int.

    Raises:
        TypeError: If it is of another type.
    """
    if type(value) not in types:
        raise TypeError(f'expected {" or ".join(kind.__name__ for kind in types)}, got {shorten(value)}')
    return value


def read_json(path: Path) -> Any:
    """Read JSON, see :func:`mmclip4clip.safe_json.read_json`.

    Raises:
        FormatError: If it is not UTF-8 or not JSON, is nested too deeply, or contains a key twice.
    """
    try:
        return safe_json.read_json(path)
    except ValueError as error:
        raise FormatError(str(error)) from error


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that are not empty.

    Raises:
        FormatError: If it is not UTF-8.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').split('\n')
    except ValueError as error:
        raise FormatError(f'{path} is not UTF-8 text: {error}') from error
    return [line.rstrip('\r') for line in lines if line.strip()]


def read_table(path: Path, needed: Sequence[str]) -> list[tuple[int, dict]]:
    """Read a CSV with a header, or a TSV if the suffix is ``.tsv``.

    Returns:
        list[tuple[int, dict]]: Line number of each row, and its cells by column.

    Raises:
        FormatError: If a needed column is missing, two columns have the same name, a row has more cells than
            the header, or a cell has more than 131,072 characters.
    """
    reader: csv.DictReader | None = None
    delimiter = '\t' if path.suffix.lower() == '.tsv' else ','
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            columns = list(reader.fieldnames or ())
            missing = set(needed) - set(columns)
            if missing:
                raise ValueError(
                    f'has no column {sorted(missing)}; its columns are '
                    f'{reader.fieldnames and shorten(columns)}'
                )
            if len(set(columns)) < len(columns):
                raise ValueError(f'has two columns with the same name; its columns are {shorten(columns)}')
            rows = [(reader.line_num, row) for row in reader]
    except (ValueError, csv.Error) as error:
        at = f', near line {reader.line_num}' if reader is not None else ''
        raise FormatError(f'{path} {error}{at}') from error
    for line, row in rows:
        if None in row:
            raise FormatError(
                f'{path}, line {line}: more cells than columns, from {shorten(row[None][0])} on; '
                'put text with commas in double quotes'
            )
    return rows


def read_pickle(path: Path) -> Any:
    """Read a pickle of plain values without executing code in it.

    Raises:
        FormatError: If it is damaged or contains more than plain values.
    """
    with path.open('rb') as file:
        try:
            return PlainUnpickler(file).load()
        except Exception as error:  # a damaged pickle can fail in any way; the cause is reported
            raise FormatError(
                f'{path} was refused and not run: expected a pickle of plain values, got {error!r:.500}'
            ) from error
