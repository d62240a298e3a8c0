"""Arguments of ``mmclip4clip serve``."""

import argparse

from .argument_types import port, positive_number


def add_serve(parser: argparse.ArgumentParser, index_default: str) -> None:
    """Add the arguments of ``serve``.

    Args:
        parser (ArgumentParser): Of the subcommand.
        index_default (str): Where the index is if none is given, in words.
    """
    parser.description = 'Serve an index: a page to search and play its videos, and an HTTP API.'
    parser.add_argument('index', nargs='?', metavar='INDEX', help=f'the index (default: {index_default})')
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen at; others than the default let other machines in (default: %(default)s)',
    )
    parser.add_argument(
        '--port', type=port, default=7860, metavar='N', help='0 takes a free one (default: %(default)s)'
    )
    parser.add_argument(
        '--model',
        metavar='CHECKPOINT',
        help='the model that made the index, if it has been moved (default: where it was)',
    )
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: a GPU if there is one)')
    parser.add_argument(
        '--open', action='store_true', help='open the page in a browser (default: print its address)'
    )
    parser.add_argument(
        '--allow-host',
        action='append',
        metavar='NAME',
        help='name under which a proxy or another machine reaches the server; may be repeated (default: '
        'names of this machine)',
    )
    parser.add_argument(
        '--max-upload',
        type=positive_number,
        default=256,
        metavar='MB',
        help='size of an uploaded file in MiB (default: %(default)s)',
    )
