"""Convert the official files of a dataset to the JSON files that configs read.

DATASET --help lists the official files of a dataset. Nothing is downloaded, and existing files are
replaced only with --force.
"""

import argparse
import ast
import re
import sys
from importlib.util import find_spec
from pathlib import Path

SPEC = find_spec('mmclip4clip')  # not imported yet
if SPEC is None:
    raise SystemExit('mmclip4clip is not installed: pip install -e .')
PACKAGE = Path(SPEC.submodule_search_locations[0], 'preparation/converters')


def find_converters() -> dict[str, str]:
    """Return the table of converters, as module and function, read from the source without an import."""
    table = {}
    for node in ast.parse((PACKAGE / '__init__.py').read_text(encoding='utf-8')).body:
        target = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ''
        if target == 'CONVERTERS':
            table |= {item.arg: ast.unparse(item.value) for item in node.value.keywords}
        elif target.startswith('CONVERTERS['):
            table[ast.literal_eval(node.targets[0].slice)] = ast.unparse(node.value)
    return table


def description(converter: str) -> str:
    """Return the docstring of a converter without its arguments, read from the source without an import."""
    module, name = converter.split('.')
    tree = ast.parse((PACKAGE / f'{module}.py').read_text(encoding='utf-8'))
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return re.split('\n\n(?:Args|Examples):', ast.get_docstring(function))[0].replace('``', '')


def parse_args() -> argparse.Namespace:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    datasets = parser.add_subparsers(dest='dataset', required=True, metavar='DATASET')
    for name, converter in find_converters().items():
        about = description(converter)
        sub = datasets.add_parser(name, help=about.splitlines()[0], description=about, formatter_class=plain)
        is_custom = name in ('csv', 'folder')
        sub.add_argument(
            'annotations', type=Path, help='folder or file of the official annotations, see above'
        )
        sub.add_argument(
            '--out',
            type=Path,
            required=is_custom,
            help='output folder' + ('' if is_custom else f' (default: data/video_retrieval/{name})'),
            default=None if is_custom else Path('data/video_retrieval') / name,
        )
        sub.add_argument('--force', action='store_true', help='replace existing files (default: off)')
        sub.add_argument(
            '--strict',
            action='store_true',
            help='write nothing if a count differs from the published one or a video is missing '
            '(default: off)',
        )
        if name != 'folder':
            sub.add_argument('--videos', type=Path, help='folder of the videos (default: OUT/videos)')
            sub.add_argument(
                '--assume-ending',
                metavar='.mp4',
                help='suffix of all videos, instead of searching for them (default: search); one of '
                'mmclip4clip.datasets.video_names.ENDINGS',
            )
        if name == 'folder':
            sub.add_argument('--name', default='all', help='name of the JSON file (default: %(default)s)')
        elif name == 'didemo':
            sub.add_argument(
                '--listed',
                action='store_true',
                help="use only names in {train,val,test}_list.txt, as the paper's code does (default: off)",
            )
        elif name == 'howto100m':
            sub.add_argument(
                '--ids',
                type=Path,
                help='list of videos to select: a CSV with a column video_id, or one id per line '
                '(default: all)',
            )
            sub.add_argument(
                '--neighbors',
                type=int,
                default=0,
                help='number of narrations nearest in time to add to the captions of each '
                'window, for MILNCELoss (default: %(default)s)',
            )
            sub.add_argument('--neighbours', dest='old_neighbors', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if getattr(args, 'old_neighbors', None) is not None:
        print('warning: --neighbours is now called --neighbors', file=sys.stderr)
        args.neighbors = args.old_neighbors
    vars(args).pop('old_neighbors', None)
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.datasets.video_names import ENDINGS
from mmclip4clip.preparation import converters


def main(arguments: argparse.Namespace) -> None:
    args = vars(arguments)
    dataset, annotations, out = (args.pop(key) for key in ('dataset', 'annotations', 'out'))
    kept = out / 'videos'
    videos = annotations if dataset == 'folder' else args.pop('videos') or kept
    ending, force, strict = (args.pop(key, None) for key in ('assume_ending', 'force', 'strict'))
    if ending and ending not in ENDINGS:
        raise SystemExit(f'--assume-ending must be one of {" ".join(ENDINGS)}, got {ending}')
    try:
        splits = converters.CONVERTERS[dataset](annotations, **args)
        reports = converters.convert(splits, out, videos, ending, force, strict)
    except (OSError, ValueError) as error:
        raise SystemExit(f'{dataset}: {error}') from error
    print(converters.format_reports(reports))
    if ending:
        print(f'the videos were not searched for; put them into {kept}')
    elif videos.resolve() != kept.resolve():
        print(f'configs expect the videos in {kept}: ln -s {videos.resolve()} {kept}')


if __name__ == '__main__':
    main(args)
