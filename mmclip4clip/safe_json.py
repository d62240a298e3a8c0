"""Reading of untrusted JSON files, in linear time and with errors that name the file."""

import json
import reprlib
from collections import Counter
from pathlib import Path
from typing import Any

_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxlong = _shortener.maxother = 100


def shorten(value: Any) -> str:
    """Return a short ``repr`` of a value of any size or depth, for error messages.

    Examples:
        >>> shorten([1, 2, 3, 4, 5, 6, 7, 8])
        '[1, 2, 3, 4, 5, 6, ...]'
    """
    return _shortener.repr(value)


def read_json(path: str | Path) -> Any:
    """Read a JSON file, and raise errors for content that JSON readers interpret differently.

    A byte order mark is skipped. Integers of at least 300 digits become floats. These are infinite from 309
    digits on, like 1e999, so callers that need a finite number must check it.

    Args:
        path (str | Path): The file.

    Returns:
        Any: Its content.

    Raises:
        OSError: If the file does not exist or cannot be read.
        ValueError: If it is not UTF-8 text or not JSON, is nested too deeply for Python's stack, or has an
            object with a repeated key.
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
    """Convert digits to a number; Python's ``int`` takes quadratic time and is limited to 4,300 digits."""
    return int(digits) if len(digits) < 300 else float(digits)


def _without_repeats(pairs: list[tuple]) -> dict:
    """Build a JSON object, and raise ValueError for repeated keys."""
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated = next(key for key in counts if counts[key] > 1)
        raise ValueError(f'the key {shorten(repeated)} is repeated in {shorten(content)}')
    return content
