import os
import sqlite3
import sys

from ...command_start import NAME

# What the functions of the package document as Raises; others are faults of the program.
EXPECTED = (OSError, ValueError, RuntimeError, TypeError, ImportError, sqlite3.Error)


def report_error(error: Exception) -> None:
    """Print the message of an error on stderr."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        message = f'{os.fsdecode(error.filename)}: {error.strerror}'
    else:
        message = str(error) or type(error).__name__
    print(f'{NAME}: error: {message}', file=sys.stderr, flush=True)
