"""Train a small tokenizer with CLIP's algorithm on the captions of annotation files."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('annotations', nargs='+', type=Path, help='JSON files of the training split')
    parser.add_argument('folder', type=Path, help='output folder of the tokenizer')
    parser.add_argument(
        '--vocab-size', type=int, default=1000, help='maximum number of tokens (default: %(default)s)'
    )
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.datasets.annotations import load_annotations
from mmclip4clip.tokenizers.loading import train_tokenizer


def main(args: argparse.Namespace) -> None:
    entries = [entry for path in args.annotations for entry in load_annotations(path)]
    captions = [caption for entry in entries for caption in entry['captions']]
    tokenizer = train_tokenizer(captions, args.folder, args.vocab_size)
    print(
        f'{len(tokenizer)} tokens from {len(captions)} captions in {args.folder}; to train a model from '
        f'scratch, set text_config=dict(vocab_size={len(tokenizer)}, '
        f'bos_token_id={tokenizer.bos_token_id}, eos_token_id={tokenizer.eos_token_id})'
    )


if __name__ == '__main__':
    main(args)
