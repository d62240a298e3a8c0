"""JSON files that nobody vouches for: read in linear time, and every fault named with its file."""

import json
import reprlib
from collections import Counter
from pathlib import Path
from typing import Any

_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxlong = _shortener.maxother = 100


def shorten(value: Any) -> str:
    """Show a value in an error message: as ``repr`` does, but never long, whatever its size or depth."""
    return _shortener.repr(value)


def read_json(path: str | Path) -> Any:
    """Read a JSON file, refusing what readers of JSON disagree about.

    A byte order mark is passed over. Integers of 300 digits and more become floats, which are
    infinite from 309 digits on; so do 1e999 and the like. Those who need a finite number must check.

    Args:
        path (str | Path): The file.

    Returns:
        Any: What it holds.

    Raises:
        OSError: If there is no such file, or it cannot be read.
        ValueError: If it is not UTF-8 text, is not JSON, is nested deeper than Python's stack, or has an
            object with a key twice; the message names the file.
    """
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
        return json.loads(text, object_pairs_hook=_without_repeats, parse_int=_parse_int)
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path} cannot be read as JSON: it is not UTF-8 text, byte {error.start} is '
            f'{error.object[error.start]:#04x}'
        ) from None
    except RecursionError:
        raise ValueError(f'{path} cannot be read as JSON: it is nested too deeply') from None
    except ValueError as error:
        raise ValueError(f'{path} cannot be read as JSON: {error}') from error


def _parse_int(digits: str) -> int | float:
    """Make a number: Python takes quadratic time for long integers, and refuses them from 4,300 digits on."""
    return int(digits) if len(digits) < 300 else float(digits)


def _without_repeats(pairs: list[tuple]) -> dict:
    """Make a JSON object, refusing a key that comes twice instead of dropping the first."""
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated = next(key for key in counts if counts[key] > 1)
        raise ValueError(f'the key {shorten(repeated)} comes twice in {shorten(content)}')
    return content
