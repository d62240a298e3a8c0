import string
from itertools import chain
from pathlib import Path
from typing import Iterable, Union

from transformers import CLIPTokenizer


def load_tokenizer(name: str) -> CLIPTokenizer:
    """Load CLIP's tokenizer by hub name or local folder.

    Raises:
        OSError: Naming what was asked for and how to have it without a network.
    """
    try:
        return CLIPTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        where = 'in that folder' if Path(name).is_dir() else 'in a local folder or on the hub'
        raise OSError(
            f'no CLIP tokenizer {where}: tokenizer={name!r}. Without a network, save one with '
            'CLIPTokenizer.save_pretrained(FOLDER) elsewhere and give FOLDER, or train one on '
            f'your captions with tools/train_tokenizer.py. Cause: {error}') from error


def train_tokenizer(captions: Iterable[str], folder: Union[str, Path],
                    vocab_size: int = 1000) -> CLIPTokenizer:
    """Train a tokenizer of CLIP's kind (lower-cased byte-pair encoding) and save it.

    For models trained from nothing; a pretrained CLIP needs its own tokenizer.

    Args:
        captions (Iterable[str]): Text to learn from.
        folder (str | Path): Where to save it, for :func:`load_tokenizer`.
        vocab_size (int): The most tokens, some 400 for single characters and
            the special tokens among them.
    """
    letters = (f'{letter} {letter}{letter}' for letter in string.printable)  # spell any ASCII word
    tokenizer = CLIPTokenizer().train_new_from_iterator(
        chain(captions, letters), vocab_size, show_progress=False)
    tokenizer.save_pretrained(folder)
    return load_tokenizer(str(folder))
