"""Write the moving-shapes dataset: video files, annotations and a tokenizer."""

import argparse
import json
import shutil
from contextlib import suppress
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='output folder, for example data/moving_shapes')
    parser.add_argument(
        '--seed', type=int, default=0, help='the same seed gives the same data (default: %(default)s)'
    )
    parser.add_argument(
        '--train-clips',
        type=int,
        default=10,
        help='number of clips per training combination; each clip gives two videos, one of them reversed '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--num-val', type=int, default=30, help='number of combinations for validation (default: %(default)s)'
    )
    parser.add_argument(
        '--num-test', type=int, default=60, help='number of combinations for the test (default: %(default)s)'
    )
    parser.add_argument(
        '--captions', type=int, default=4, help='number of captions per video (default: %(default)s)'
    )
    parser.add_argument(
        '--force', action='store_true', help='replace the folder and everything in it (default: off)'
    )
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from rich.progress import track

from mmclip4clip.moving_shapes.generator import group_by_shape, split_combinations, write_split
from mmclip4clip.safe_json import read_json
from mmclip4clip.tokenizers.loading import train_tokenizer


def was_made_by(recipe: dict, stamp: Path) -> bool:
    """Return whether ``recipe.json`` exists and contains this recipe."""
    with suppress(OSError, ValueError):
        return read_json(stamp) == recipe
    return False


def main(args: argparse.Namespace) -> None:
    recipe = {k: v for k, v in vars(args).items() if k not in ('folder', 'force')}
    recipe['files'] = ['train', 'train_by_shape', 'val', 'test']
    stamp = args.folder / 'recipe.json'
    if not args.force and was_made_by(recipe, stamp):
        print(f'{args.folder} already contains these moving shapes')
        return
    if args.folder.exists() and not args.force:
        raise SystemExit(
            f'{args.folder} exists and was not created by {recipe}: use another folder, or '
            '--force to replace it'
        )
    # Write to a temporary folder and rename it, so that an interrupted run leaves no incomplete dataset.
    partial = args.folder.with_name(args.folder.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    splits = split_combinations(args.seed, args.num_val, args.num_test)
    clips = dict(train=args.train_clips, val=1, test=1)
    for split, combinations in splits.items():
        total = 2 * len(combinations) * clips[split]
        written = write_split(partial, split, combinations, args.seed, clips[split], args.captions)
        for _ in track(written, description=f'{split}: {total} videos', total=total):
            pass
    entries = json.loads((partial / 'train.json').read_text())
    (partial / 'train_by_shape.json').write_text(json.dumps(group_by_shape(entries), indent=1) + '\n')
    tokenizer = train_tokenizer((c for entry in entries for c in entry['captions']), partial / 'tokenizer')
    (partial / 'recipe.json').write_text(json.dumps(recipe) + '\n')
    if args.folder.exists():
        shutil.rmtree(args.folder)
    partial.rename(args.folder)
    print(f'moving shapes and a tokenizer of {len(tokenizer)} tokens in {args.folder}')


if __name__ == '__main__':
    main(args)
