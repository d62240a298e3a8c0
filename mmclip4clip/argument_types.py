"""Types of arguments of the command ``mmclip4clip``, which refuse what is out of range.

As the arguments, they are needed before the imports that take seconds.
"""

import argparse
import math

SHEET_ENDINGS = ('.png', '.html', '.htm')


def positive_number(text: str) -> float:
    """Return a number above 0."""
    value = seconds(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f'must be above 0, got {text}')
    return value


def seconds(text: str) -> float:
    """Return a number from 0 on."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f'must be a number from 0 on, got {text!r}')
    return value


def whole_number(text: str) -> int:
    """Return a whole number from 0 on."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f'must be a whole number, got {text!r}')
    return int(text)


def positive_whole_number(text: str) -> int:
    """Return a whole number above 0."""
    value = whole_number(text)
    if value == 0:
        raise argparse.ArgumentTypeError('must be at least 1, got 0')
    return value


def port(text: str) -> int:
    """Return the number of a port."""
    value = whole_number(text)
    if value > 65535:
        raise argparse.ArgumentTypeError(f'must be at most 65535, got {text}')
    return value


def sheet_file(text: str) -> str:
    """Return a file name with the ending of a picture or a web page."""
    if not text.lower().endswith(SHEET_ENDINGS):
        raise argparse.ArgumentTypeError(f'must end in {" or ".join(SHEET_ENDINGS[:2])}, got {text!r}')
    return text
