"""Options that several subcommands of ``mmclip4clip`` share."""

import argparse

from .argument_types import whole_number

INDEX_DEFAULT = '$MMCLIP4CLIP_INDEX, or ~/.local/share/mmclip4clip/index'


def add_index_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--index``."""
    parser.add_argument('--index', metavar='PATH', help=f'the index (default: {INDEX_DEFAULT})')


def add_workers_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``."""
    parser.add_argument(
        '--workers',
        type=whole_number,
        default=2,
        metavar='N',
        help='processes that decode ahead (default: %(default)s)',
    )


def add_format_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--csv``."""
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument(
        '--json',
        dest='format',
        action='store_const',
        const='json',
        help='print a JSON object a line (default: a table on a terminal, else columns separated by tabs)',
    )
    formats.add_argument(
        '--csv',
        dest='format',
        action='store_const',
        const='csv',
        help='print CSV with a header (default: see --json)',
    )
