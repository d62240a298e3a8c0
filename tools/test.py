"""Evaluate a checkpoint, or a pretrained CLIP without one (zero-shot)."""

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file; without one, load_from of the config, or else zero-shot: the pretrained CLIP, '
        'for heads without parameters of their own',
    )
    parser.add_argument(
        '--dump',
        metavar='RESULT.pkl',
        type=Path,
        help='write captions, features, ranks and the best retrieved videos to this file, for '
        'tools/analysis_tools/score_dump.py (default: none is written)',
    )
    parser.add_argument(
        '--features',
        metavar='FOLDER',
        help='test from the features of tools/extract_features.py --out FOLDER, without videos '
        '(default: decode and encode the videos)',
    )
    add_arguments(parser)
    return parser.parse_intermixed_args()  # options may precede the checkpoint


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.apis import build_runner, check_zero_shot, leave_processes, load_config, use_features
from mmclip4clip.evaluation.metrics.dump import check_writable


def main(args: argparse.Namespace) -> None:
    if args.dump:
        check_writable(args.dump)
    cfg = load_config(args)
    if args.dump:
        metrics = cfg.test_evaluator
        cfg.test_evaluator = [
            *(metrics if isinstance(metrics, (list, tuple)) else [metrics]),
            dict(type='RetrievalDump', out_file_path=str(args.dump)),
        ]
    cfg.load_from, cfg.resume = args.checkpoint or cfg.get('load_from'), False
    if args.features:
        use_features(cfg, args.features, training=False)
    runner = build_runner(cfg, training=False)
    if not cfg.load_from:
        check_zero_shot(runner)
    runner.test()
    leave_processes()


if __name__ == '__main__':
    main(args)
