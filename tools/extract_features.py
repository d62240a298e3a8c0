"""Write the features of frames, videos and captions to files, to test and to train the adapter from.

FOLDER/SPLIT gets features.json and shards in the format of safetensors. A run that was killed goes on at the
first missing shard. Several processes (--launcher) share the shards.
"""

import argparse
import runpy
from importlib.util import find_spec
from pathlib import Path

SPEC = find_spec('mmclip4clip')  # not imported yet
if SPEC is None:
    raise SystemExit('mmclip4clip is not installed: pip install -e .')
PACKAGE = Path(SPEC.submodule_search_locations[0])
add_arguments = runpy.run_path(str(PACKAGE / 'apis/arguments.py'))['add_arguments']


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file; without one, load_from of the config, or else the pretrained CLIP',
    )
    parser.add_argument('--out', required=True, metavar='FOLDER', help='folder of the features')
    parser.add_argument(
        '--split',
        choices=['train', 'val', 'test'],
        default='test',
        help='dataset of the config to extract (default: %(default)s)',
    )
    parser.add_argument(
        '--parts',
        nargs='+',
        choices=['frames', 'video', 'text', 'tokens'],
        help='what to store: frame features of the encoder, video features of the adapter, caption vectors, '
        'caption tokens (default: frames, video, and text or tokens, whichever the adapter uses)',
    )
    parser.add_argument(
        '--shard-size',
        type=int,
        default=512,
        metavar='N',
        help='videos in a file, rounded up to whole batches (default: %(default)s)',
    )
    parser.add_argument(
        '--half', action='store_true', help='store half precision (default: single precision)'
    )
    add_arguments(parser)
    return parser.parse_intermixed_args()  # options may precede the checkpoint


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.apis import build_runner, leave_processes, load_config, use_extraction
from mmclip4clip.apis.zero_shot import check_pretrained


def main(args: argparse.Namespace) -> None:
    cfg = load_config(args)
    cfg.load_from, cfg.resume = args.checkpoint or cfg.get('load_from'), False
    use_extraction(cfg, Path(args.out), args.split, args.parts, args.shard_size, args.half)
    runner = build_runner(cfg, training=False)
    if not cfg.load_from:
        check_pretrained(runner)
    runner.test()
    leave_processes()


if __name__ == '__main__':
    main(args)
