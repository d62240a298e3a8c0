"""Reading what others wrote: every error names the file and what was expected of it."""
import csv
import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Sequence, Tuple

from ...plain_arrays import PlainUnpickler
from ..annotations import without_repeats


class FormError(ValueError):
    """A file is not what it should be; the message names it."""


@contextmanager
def of_form(path: Path, form: str) -> Iterator[None]:
    """Turn whatever a missing key or an odd value causes into an error about the file.

    Raises:
        FormError: Instead of KeyError, TypeError, ValueError and the like.
    """
    try:
        yield
    except FormError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise FormError(f'{path} is not of the form {form}: {error!r}') from error


def read_json(path: Path) -> Any:
    """Read JSON, refusing a key that comes twice.

    Raises:
        FormError: If it is not UTF-8 or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'), object_pairs_hook=without_repeats)
    except ValueError as error:
        raise FormError(f'{path} cannot be read as JSON: {error}') from error


def read_lines(path: Path) -> List[str]:
    """Read the lines of a text file, without the empty ones.

    Raises:
        FormError: If it is not UTF-8.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').split('\n')
    except ValueError as error:
        raise FormError(f'{path} is not UTF-8 text: {error}') from error
    return [line.rstrip('\r') for line in lines if line.strip()]


def read_table(path: Path, needed: Sequence[str]) -> List[Tuple[int, dict]]:
    """Read a CSV, or a TSV by its ending, with a header.

    Returns:
        list[tuple[int, dict]]: Line number and cells by column, of each row.

    Raises:
        FormError: If a needed column is missing, or a row has more cells than the header.
    """
    delimiter = '\t' if path.suffix == '.tsv' else ','
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            missing = set(needed) - set(reader.fieldnames or ())
            if missing:
                raise ValueError(f'has no column {sorted(missing)}; its columns are {reader.fieldnames}')
            rows = [(reader.line_num, row) for row in reader]
    except (ValueError, csv.Error) as error:
        raise FormError(f'{path} {error}') from error
    for line, row in rows:
        if None in row:
            raise FormError(f'{path}, line {line}: more cells than columns, from {row[None][0]!r} on; '
                             'put text with commas in double quotes')
    return rows


def read_pickle(path: Path) -> Any:
    """Read a pickle of plain values, without running anything in it.

    Raises:
        FormError: If it is damaged, or asks for anything that could run.
    """
    with path.open('rb') as file:
        try:
            return PlainUnpickler(file).load()
        except Exception as error:  # a damaged pickle can fail in any way; the cause is reported
            raise FormError(f'{path} was refused as a pickle of plain values, and nothing in it was '
                             f'run: {error!r}') from error
