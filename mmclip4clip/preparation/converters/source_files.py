"""Reading what others wrote: every error names the file and what was expected of it."""

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
    """A file is not what it should be; the message names it."""


@dataclass
class Place:
    """Where in a file a reader is, for its errors.

    Attributes:
        entry (str | int, optional): The key, number or name of what is being read.
    """

    entry: Any = None


@contextmanager
def expecting_format(path: Path, form: str) -> Iterator[Place]:
    """Turn whatever a missing key or an odd value causes into an error about the file.

    Yields:
        Place: Whose ``entry`` the reader keeps up to date.

    Raises:
        FormatError: Instead of KeyError, TypeError, ValueError and the like.
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
    """Return a value of one of these types; a bool is no int here, nor a string a list of letters.

    Raises:
        TypeError: If it is none.
    """
    if type(value) not in types:
        raise TypeError(f'expected {" or ".join(kind.__name__ for kind in types)}, got {shorten(value)}')
    return value


def read_json(path: Path) -> Any:
    """Read JSON, see :func:`mmclip4clip.safe_json.read_json`.

    Raises:
        FormatError: If it is not UTF-8 or not JSON, is nested too deeply, or has a key twice.
    """
    try:
        return safe_json.read_json(path)
    except ValueError as error:
        raise FormatError(str(error)) from error


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file, without the empty ones.

    Raises:
        FormatError: If it is not UTF-8.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').split('\n')
    except ValueError as error:
        raise FormatError(f'{path} is not UTF-8 text: {error}') from error
    return [line.rstrip('\r') for line in lines if line.strip()]


def read_table(path: Path, needed: Sequence[str]) -> list[tuple[int, dict]]:
    """Read a CSV, or a TSV by its ending, with a header.

    Returns:
        list[tuple[int, dict]]: Line number and cells by column, of each row.

    Raises:
        FormatError: If a needed column is missing, two columns have one name, a row has more cells than
            the header, or a cell more than 131,072 characters.
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
                raise ValueError(f'has two columns of one name; its columns are {shorten(columns)}')
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
    """Read a pickle of plain values, without running anything in it.

    Raises:
        FormatError: If it is damaged, or asks for anything that could run.
    """
    with path.open('rb') as file:
        try:
            return PlainUnpickler(file).load()
        except Exception as error:  # a damaged pickle can fail in any way; the cause is reported
            raise FormatError(
                f'{path} was refused as a pickle of plain values, and nothing in it was run: {error!r:.500}'
            ) from error
