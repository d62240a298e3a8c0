"""Convert checkpoints of CLIP and CLIP4Clip between this project and others.

Reads OpenAI's CLIP (.pt), CLIPs of open_clip, CLIP folders of transformers, the reference's
pytorch_model.bin, mmaction2's CLIPSimilarity and our own .pth, which it tells
apart by their keys. Of open_clip's files, heads and activation must be told, by
their model config or by options. OpenAI's published files are TorchScript archives, which
are programs: give only those whose origin you trust. All others are read
without running anything in them.
"""

import argparse
from pathlib import Path

from mmclip4clip.checkpoints import KINDS, convert, usage
from mmclip4clip.checkpoints.description import REFERENCE_HEADS
from mmclip4clip.checkpoints.formats import current_name
from mmclip4clip.checkpoints.renaming import join_names


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'src', type=Path, help='file, folder of transformers, or name of a CLIP on the Hugging Face hub'
    )
    parser.add_argument(
        'dst',
        type=Path,
        help='what to write: .pth mmclip4clip, .bin the reference, .pt OpenAI, no '
        'ending a folder of transformers',
    )
    parser.add_argument(
        '--to', type=current_name, choices=list(KINDS), help='what to write, whatever the ending'
    )
    parser.add_argument(
        '--head',
        choices=list(REFERENCE_HEADS.values()),
        help="head of the reference's file, where its keys leave it open: meanP for a run "
        'without --loose_type',
    )
    parser.add_argument(
        '--clip-only',
        action='store_true',
        help='leave out the adapter, and of a 3d patch all but its middle frame',
    )
    parser.add_argument(
        '--text-heads',
        type=int,
        metavar='N',
        help='attention heads of the text tower, where the source does not tell',
    )
    parser.add_argument('--vision-heads', type=int, metavar='N', help='the same of the vision tower')
    parser.add_argument('--adapter-heads', type=int, metavar='N', help='the same of the adapter')
    parser.add_argument(
        '--activation',
        choices=['quick_gelu', 'gelu'],
        help="activation of both towers, where the source does not tell: OpenAI's quick_gelu, or gelu",
    )
    parser.add_argument(
        '--model-config',
        type=Path,
        metavar='FILE.json',
        help='model config of open_clip, which tells heads and activation; by default '
        'open_clip_config.json beside SRC',
    )
    parser.add_argument('--force', action='store_true', help='replace DST')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        done = convert(**vars(args))
    except (OSError, RuntimeError, ValueError) as error:
        raise SystemExit(f'error: {error}') from error
    unused = done.checkpoint.unused
    print(f'read   {args.src}: {KINDS[done.source]}\n       {done.found}')
    print(f'wrote  {args.dst}: {KINDS[done.target]}, {done.tensors} tensors')
    if done.target == 'mmclip4clip' and unused:
        print(
            f'kept   {len(unused)} tensors that this package does not use, for the way back: '
            f'{join_names(unused)}'
        )
    for note in done.checkpoint.notes:
        print(f'note   {note}')
    print(f'use    {usage(done.checkpoint, done.target, args.dst)}')


if __name__ == '__main__':
    main()
