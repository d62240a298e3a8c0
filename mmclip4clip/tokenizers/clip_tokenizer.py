"""CLIP's tokenizer of the library ``tokenizers``, which transformers 4 and 5 call by different names."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import transformers
from transformers import CLIPTokenizer

IS_FAST = hasattr(transformers.CLIPTokenizer, 'train_new_from_iterator')  # since transformers 5
if not IS_FAST:
    from transformers import CLIPTokenizerFast as CLIPTokenizer  # type: ignore[attr-defined,no-redef]


def create_tokenizer(vocab: dict[str, int], merges: list[Any]) -> CLIPTokenizer:
    """Create a tokenizer with CLIP's rules.

    Args:
        vocab (dict[str, int]): Token ids, with CLIP's special tokens.
        merges (list[tuple[str, str]]): Pairs of tokens in the order in which they are merged.

    Examples:
        >>> vocab = {'<|startoftext|>': 0, '<|endoftext|>': 1, 'a</w>': 2, 'b</w>': 3}
        >>> create_tokenizer(vocab, [])('A b')['input_ids']
        [0, 2, 3, 1]
    """
    if IS_FAST:
        return CLIPTokenizer(vocab=vocab, merges=merges)
    with TemporaryDirectory() as folder:
        files = Path(folder, 'vocab.json'), Path(folder, 'merges.txt')
        files[0].write_text(json.dumps(vocab), encoding='utf-8')
        lines = ['#version: 0.2', *(' '.join(pair) for pair in merges)]
        files[1].write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return CLIPTokenizer(*map(str, files))
