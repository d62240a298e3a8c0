"""Arguments of the command ``mmclip4clip``.

They are parsed before the imports that take seconds, so this module imports nothing but the standard library.
"""

import argparse
from collections.abc import Sequence

from .argument_types import positive_number, positive_whole_number, seconds, sheet_file, whole_number
from .server_arguments import add_serve
from .shared_options import INDEX_DEFAULT, add_format_options, add_index_option, add_workers_option

WINDOW = 10.0  # seconds
QUERIES = """
a query is a text, an image, a video, a range of a video, or a sum of them:
  mmclip4clip search a dog on a skateboard
  mmclip4clip search person.jpg
  mmclip4clip search clip.mp4@1:02-1:12
  mmclip4clip search "a beach" + "at night" - 0.5*person.jpg
Without words, queries are read from the standard input, one a line, and the model is loaded once.
"""


def parse_args(args: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the arguments of a command line, and check those that depend on each other.

    Args:
        args (Sequence[str], optional): The arguments; those of the process by default.

    Raises:
        SystemExit: With code 2 for a faulty command line, and with 0 after ``--help``.

    Examples:
        >>> parse_args(['search', 'a', 'dog', '--top', '3']).words
        ['a', 'dog']
    """
    parser = build_parser()
    parsed = parser.parse_args(args)
    if parsed.command == 'index':
        if parsed.ray is not None and parsed.workers == 0:
            parser.error('--workers 0 has nobody to encode with --ray: leave it out, or give a number')
        if (parsed.shots or parsed.whole) and (parsed.window is not None or parsed.stride is not None):
            parser.error('--window and --stride are of fixed windows: leave --shots and --whole out')
        if parsed.window is None and parsed.stride is not None:
            parsed.window = WINDOW
        if parsed.window is not None and parsed.stride is None:
            parsed.stride = parsed.window / 2
        if parsed.window is not None and parsed.stride > parsed.window:
            parser.error(
                f'--stride {parsed.stride:g} is longer than --window {parsed.window:g}: seconds between two '
                'windows would be in neither'
            )
    elif parsed.command in ('search', 'similar'):
        shortest, longest = parsed.min_duration, parsed.max_duration
        if shortest is not None and longest is not None and shortest > longest:
            parser.error(f'--min-duration {shortest:g} is longer than --max-duration {longest:g}')
    return parsed


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog='mmclip4clip', description='Search videos by text, image and video, and caption them.'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where an error was raised (default: its message)'
    )
    commands = parser.add_subparsers(
        dest='command', required=True, metavar='COMMAND', help='one of these; COMMAND --help describes it'
    )
    add_index(commands.add_parser('index', help='add a folder of videos to the index, or update it'))
    search = commands.add_parser(
        'search',
        help='find videos, and the moment in each',
        epilog=QUERIES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    search.add_argument('words', nargs='*', metavar='WORD', help='the query')
    add_search_options(search)
    similar = commands.add_parser('similar', help='find videos that look like one')
    similar.add_argument('video', metavar='VIDEO[@START-END]', help='the video, or a range of it')
    add_search_options(similar)
    add_caption(commands.add_parser('caption', help='write a caption for each video'))
    add_serve(
        commands.add_parser('serve', help='show the index as a page in a browser, with an HTTP API'),
        INDEX_DEFAULT,
    )
    doctor = commands.add_parser(
        'doctor',
        help='check the installation',
        description='Check versions, machine, video decoding and checkpoint loading, and print what to '
        'attach to a bug report. The exit code is 1 if there are problems. Nothing is downloaded or changed.',
    )
    add_doctor_options(doctor)
    return parser


def add_index(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``index``."""
    parser.description = 'Add the videos of folders to the index. A second run takes new and changed files.'
    parser.add_argument(
        'folders',
        nargs='+',
        metavar='FOLDER',
        help='folder of videos, with its subfolders; or a Parquet file of paths or URLs',
    )
    add_index_option(parser)
    parser.add_argument(
        '--remove',
        action='store_true',
        help='remove these folders from the index, whether they exist or not (default: add or update them)',
    )
    parser.add_argument(
        '--model',
        metavar='CHECKPOINT',
        help='checkpoint, or folder or name of a pretrained encoder; a new index needs it (default: the '
        'model of the index)',
    )
    parser.add_argument(
        '--window', type=positive_number, metavar='S', help='length of a segment in seconds (default: 10)'
    )
    parser.add_argument(
        '--stride',
        type=positive_number,
        metavar='S',
        help='seconds from the start of a segment to the start of the next one (default: half of --window)',
    )
    segments = parser.add_mutually_exclusive_group()
    segments.add_argument(
        '--shots', action='store_true', help='segments are the shots of a video (default: fixed windows)'
    )
    segments.add_argument(
        '--whole', action='store_true', help='index whole videos alone, without segments (default: both)'
    )
    parser.add_argument(
        '--store', metavar='URL', help='where the vectors of a new index are (default: in its folder)'
    )
    parser.add_argument(
        '--workers',
        type=whole_number,
        metavar='N',
        help='processes that decode ahead; with --ray, those that decode and encode (default: 2; with --ray '
        'one for each CPU)',
    )
    parser.add_argument(
        '--ray',
        metavar='ADDRESS',
        help='encode on a Ray cluster: auto, HOST:PORT, or local for a new one on this machine (default: '
        'without Ray)',
    )
    add_format_options(parser)


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``search`` and ``similar`` share."""
    add_index_option(parser)
    parser.add_argument(
        '--model',
        metavar='CHECKPOINT',
        help='the model that made the index, if it has been moved (default: where it was)',
    )
    parser.add_argument(
        '--top',
        type=positive_whole_number,
        default=10,
        metavar='N',
        help='number of answers (default: %(default)s)',
    )
    parser.add_argument(
        '--shortlist',
        type=positive_whole_number,
        default=200,
        metavar='N',
        help='moments to score exactly, for heads such as Tight and WTI; doubled until the answers stay the '
        'same (default: %(default)s)',
    )
    moments = parser.add_mutually_exclusive_group()
    moments.add_argument(
        '--whole', action='store_true', help='compare whole videos (default: the best moment of each)'
    )
    moments.add_argument(
        '--all-moments', action='store_true', help='list all moments of a video (default: its best one)'
    )
    parser.add_argument(
        '--in', dest='folder', metavar='FOLDER', help='only videos in this folder and below (default: all)'
    )
    parser.add_argument(
        '--min-duration',
        type=seconds,
        metavar='S',
        help='only videos of this duration in seconds, or longer (default: all)',
    )
    parser.add_argument(
        '--max-duration',
        type=seconds,
        metavar='S',
        help='only videos of this duration in seconds, or shorter (default: all)',
    )
    parser.add_argument(
        '--why',
        action='store_true',
        help='show the score of each sampled frame, and for WTI the best frame of each word, in a sheet too '
        '(default: scores of videos alone)',
    )
    add_format_options(parser)
    parser.add_argument(
        '--sheet',
        type=sheet_file,
        metavar='FILE',
        help='write frames of the answers to this picture (.png) or web page (.html) (default: none)',
    )


def add_caption(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``caption``."""
    parser.description = 'Write a caption for each video: a line with the file, a tab and the caption.'
    parser.add_argument('videos', nargs='+', metavar='VIDEO', help='video files, and folders of them')
    parser.add_argument(
        '--model', metavar='CHECKPOINT', help='checkpoint of a captioner (default: the model of the index)'
    )
    add_index_option(parser)
    parser.add_argument(
        '--batch-size',
        type=positive_whole_number,
        default=16,
        metavar='N',
        help='videos per batch (default: %(default)s)',
    )
    add_workers_option(parser)
    add_format_options(parser)


def add_doctor_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``doctor``."""
    parser.add_argument('--json', action='store_true', help='print JSON (default: text)')
    parser.add_argument(
        '--network', action='store_true', help='ask the model hub for an answer (default: no network access)'
    )
    parser.add_argument('--folder', default='.', help='where runs will write (default: %(default)s)')
