"""Join an adapter that tools/train.py --features trained with its encoder, into a whole checkpoint."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file of the training, whose model has the encoder')
    parser.add_argument('head', type=Path, help='checkpoint of the training from features')
    parser.add_argument('out', type=Path, help='checkpoint to write')
    parser.add_argument(
        '--checkpoint',
        type=Path,
        help='checkpoint that the features were extracted with (default: the pretrained CLIP of the config)',
    )
    parser.add_argument('--force', action='store_true', help='replace OUT if it exists (default: off)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        metavar='KEY=VALUE',
        help='settings that override the config, as in the training (default: none)',
    )
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.apis import read_config, use_clip
from mmclip4clip.apis.config_options import parse_options
from mmclip4clip.apis.head_join import join_head
from mmclip4clip.checkpoints.io import check_destination
from mmclip4clip.compat import apply_patches


def main(args: argparse.Namespace) -> None:
    apply_patches()
    check_destination(args.out, folder=False, force=args.force)
    cfg = read_config(args.config)
    cfg.merge_from_dict(parse_options(args.cfg_options) or {})
    use_clip(cfg)
    try:
        tensors = join_head(cfg, args.head, args.out, args.checkpoint)
    except (OSError, RuntimeError, ValueError) as error:
        raise SystemExit(f'error: {error}') from error
    print(f'wrote  {args.out}: {tensors} tensors of the whole model')


if __name__ == '__main__':
    main(args)
