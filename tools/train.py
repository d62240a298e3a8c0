"""Train a model from a config."""

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
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from this checkpoint, or without a value from the newest one in the work dir, if any '
        '(default: what the config says)',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train with automatic mixed precision (default: off)'
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not evaluate during training (default: off)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale learning rates by the batch size over auto_scale_lr.base_batch_size (default: off)',
    )
    parser.add_argument(
        '--features',
        metavar='FOLDER',
        help='train the adapter alone from the features of tools/extract_features.py --out FOLDER, without '
        'videos (default: decode and encode the videos)',
    )
    add_arguments(parser)
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.apis import (
    build_runner,
    leave_processes,
    load_config,
    lock_for_training,
    set_checkpoint,
    use_features,
)
from mmclip4clip.engine.hooks import TrainingStopped


def main(args: argparse.Namespace) -> None:
    cfg = load_config(args)
    lock_for_training(cfg)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).pop('save_best', None)
    if args.amp:
        kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
        if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
            raise ValueError(f'--amp does not support optim_wrapper.type={kind!r}')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ValueError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config')
        cfg.auto_scale_lr.enable = True
    set_checkpoint(cfg, args.resume)
    if args.features:
        use_features(cfg, args.features, training=True)
    try:
        build_runner(cfg, training=True).train()
    except TrainingStopped:
        leave_processes()
        raise
    leave_processes()


if __name__ == '__main__':
    main(args)
