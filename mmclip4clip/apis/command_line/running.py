"""Run a subcommand: its output on stdout, all else on stderr, and an exit code."""

import io
import logging
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from typing import TextIO

from ...command_start import INTERRUPTED, NAME
from ...import_hooks import after_import
from .caption import run_caption
from .doctor import run_doctor
from .expected_errors import EXPECTED, report_error
from .index import run_index
from .printing import Printer
from .search import run_search, run_similar
from .serve import run_serve

COMMANDS: dict[str, Callable[[Namespace, Printer], int]] = dict(
    index=run_index,
    search=run_search,
    similar=run_similar,
    caption=run_caption,
    serve=run_serve,
    doctor=run_doctor,
)
BROKEN_PIPE = 128 + 13  # exit code of shells after SIGPIPE


def run_command(args: Namespace) -> int:
    """Run a subcommand with parsed arguments.

    Args:
        args (Namespace): Output of :func:`mmclip4clip.command_arguments.parse_args`.

    Returns:
        int: Exit code: 0, or 1 after an error, whose message is on stderr, 130 after Ctrl-C, and 141 if the
        reader of a pipe went away.
    """
    output = sys.stdout if sys.stdout is not None else open(os.devnull, 'w')  # noqa: SIM115  it stays open
    keep_names(output)
    try:
        with redirect_stdout(sys.stderr):  # of logs and libraries, which are no answers
            set_up_logs()
            code = COMMANDS[args.command](args, Printer(output, getattr(args, 'format', None)))
        output.flush()
        return code
    except KeyboardInterrupt:
        discard(output)
        return INTERRUPTED
    except BrokenPipeError:
        discard(output)
        return BROKEN_PIPE
    except EXPECTED as error:
        if args.traceback:
            traceback.print_exc()
        report_error(error)
        discard(output)
        return 1


def keep_names(output: TextIO) -> None:
    """Let file names that are no text in the encoding of the system pass through the streams."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors='surrogateescape')
    if isinstance(output, io.TextIOWrapper):
        is_utf8 = output.encoding.lower().replace('-', '') == 'utf8'
        output.reconfigure(errors='surrogateescape' if is_utf8 else 'backslashreplace')


def discard(output: TextIO) -> None:
    """Write what is left if possible; else drop it, so that Python does not try again at its end."""
    try:
        output.flush()
    except OSError:
        with suppress(OSError, ValueError):  # a stream without a file
            os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())


def set_up_logs() -> None:
    """Log warnings alone, to stderr, without the time; also those of packages that are imported later."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f'{NAME}: %(levelname)s: %(message)s'))
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.WARNING)
    logger.handlers = [handler]
    after_import('mmengine', lambda: set_up_mmengine(handler))
    after_import('transformers.utils.logging', quiet_transformers)


def set_up_mmengine(handler: logging.Handler) -> None:
    """Make a logger of mmengine the current one, which writes warnings to a handler."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_instance(NAME)  # the last one made is the current one
    logger.setLevel(logging.WARNING)
    logger.handlers = [handler]


def quiet_transformers() -> None:
    """Turn off the warnings and the progress bars of transformers."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
