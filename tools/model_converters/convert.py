"""Convert checkpoints of CLIP and CLIP4Clip between this package and other projects.

Supported sources are OpenAI's CLIP (.pt), open_clip, folders of transformers, the reference's
pytorch_model.bin, mmaction2's CLIPSimilarity, and the .pth of this package. Their keys determine the
kind. A .pth that was trained with LoRA becomes one without, or any other kind, with the same outputs. Files
of open_clip do not contain the attention heads and the activation, which come from a model config or from
options. OpenAI's published files are TorchScript archives, which contain code: use only files from trusted
sources. Other files are read without executing code.
"""

import argparse
from pathlib import Path

# Those of mmclip4clip.checkpoints, which takes seconds to import; a test keeps them equal.
KINDS = ('mmclip4clip', 'openai', 'open_clip', 'transformers', 'reference', 'mmaction')
HEADS = ('meanP', 'seqLSTM', 'seqTransf', 'tightTransf')


class ListPresets(argparse.Action):
    """Print the published weights that the package has configs for, and exit."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and exit, before SRC and DST are asked for."""
        from mmclip4clip.apis.presets import describe_presets  # takes seconds

        print(describe_presets())
        parser.exit()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'src', type=Path, help='file, folder of transformers or open_clip, or name on the Hugging Face hub'
    )
    parser.add_argument(
        'dst',
        type=Path,
        help='destination; its suffix determines the kind: .pth mmclip4clip, .bin the reference, '
        '.pt OpenAI, no suffix a folder of transformers; with --to open_clip a folder, or a file .bin or '
        '.safetensors with its config beside it',
    )
    parser.add_argument(
        '--to',
        choices=[*KINDS, 'ours'],  # an earlier name of mmclip4clip
        metavar='{' + ','.join(KINDS) + '}',
        help='kind of the destination (default: that of its suffix)',
    )
    parser.add_argument(
        '--head',
        choices=HEADS,
        help="head of the reference's file, if its keys do not determine it: meanP for a run "
        'without --loose_type (default: what the keys say)',
    )
    parser.add_argument(
        '--clip-only',
        action='store_true',
        help='drop the adapter, and keep only the middle frame of a 3d patch (default: off)',
    )
    parser.add_argument(
        '--text-heads',
        type=int,
        metavar='N',
        help='attention heads of the text tower, if the source does not specify them (default: what it says)',
    )
    parser.add_argument(
        '--vision-heads', type=int, metavar='N', help='the same for the vision tower (default: likewise)'
    )
    parser.add_argument(
        '--adapter-heads', type=int, metavar='N', help='the same for the adapter (default: likewise)'
    )
    parser.add_argument(
        '--activation',
        choices=['quick_gelu', 'gelu'],
        help="activation of both towers, if the source does not specify it: OpenAI's quick_gelu, or gelu "
        '(default: what the source says)',
    )
    parser.add_argument(
        '--model-config',
        type=Path,
        metavar='FILE.json',
        help='model config of open_clip with heads and activation (default: '
        'open_clip_config.json in the folder of SRC)',
    )
    parser.add_argument(
        '--presets',
        action=ListPresets,
        nargs=0,
        help='list published weights, each with its config and how to load it, and exit (default: off)',
    )
    parser.add_argument('--force', action='store_true', help='replace DST if it exists (default: off)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.checkpoints import KINDS as DESCRIPTIONS
from mmclip4clip.checkpoints import convert, usage
from mmclip4clip.checkpoints.renaming import join_names


def main(args: argparse.Namespace) -> None:
    options = {name: value for name, value in vars(args).items() if name != 'presets'}
    try:
        done = convert(**options)
    except (OSError, RuntimeError, ValueError) as error:
        raise SystemExit(f'error: {error}') from error
    unused = done.checkpoint.unused
    print(f'read   {args.src}: {DESCRIPTIONS[done.source]}\n       {done.found}')
    print(f'wrote  {args.dst}: {DESCRIPTIONS[done.target]}, {done.tensors} tensors')
    if done.target == 'mmclip4clip' and unused:
        print(
            f'kept   {len(unused)} tensors that this package does not use, to convert them back: '
            f'{join_names(unused)}'
        )
    for note in done.checkpoint.notes:
        print(f'note   {note}')
    print(f'use    {done.use or usage(done.checkpoint, done.target, args.dst)}')


if __name__ == '__main__':
    main(args)
