import json
import logging
import re
import string
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from transformers import AutoTokenizer, CLIPTokenizer, PreTrainedTokenizerBase

from ..hub import load_named
from .caption_text import clean_caption, read_as_clip
from .saved_tokenizer import CAPTIONS, DECODER, offered_tokenizer, unpack_tokenizer

# Where tokenizers that cut at punctuation, such as CLIP's, have spaces that people do not write.
SPACES = (
    (r'(?<=\d) +(?=\d)', ''),  # 1 0
    (r'(?<=\d) *([.:]) *(?=\d)', r'\1'),  # 3 : 30
    (r'(?<=\d) *, *(?=\d{3}\b)', ','),  # 1 , 000
    (r'(?<=\w) +([-/]) +(?=\w)', r'\1'),  # t - shirt
    (r"(?<=\w) +(?='(?:s|t|re|ve|m|ll|d)\b)", ''),  # man 's
    (r' +([.,;:!?])', r'\1'),
)


def load_tokenizer(name: str) -> CLIPTokenizer:
    """Load CLIP's tokenizer by hub name or local folder, else from the checkpoint that is being loaded.

    Args:
        name (str): Name on the Hugging Face hub, or a local folder.

    Returns:
        CLIPTokenizer: The tokenizer.

    Raises:
        OSError: Naming what was asked for and how to have it without a network.
    """
    where = 'in that folder' if Path(name).is_dir() else 'in a local folder or on the hub'
    advice = (
        f'no CLIP tokenizer {where}: tokenizer={name!r}. Without a network, save one with '
        'CLIPTokenizer.save_pretrained(FOLDER) elsewhere and give FOLDER, or train one on your captions with '
        'tools/train_tokenizer.py; checkpoints of this version carry theirs'
    )

    def complete(tokenizer: CLIPTokenizer) -> bool:
        return len(tokenizer) >= 256  # a folder without vocabulary gives an empty tokenizer, and no error

    tokenizer = _load(CLIPTokenizer.from_pretrained, name, complete, CAPTIONS, advice)
    if not complete(tokenizer):
        raise OSError(f'{advice}. Cause: it has {len(tokenizer)} tokens')
    return tokenizer


def load_decoder_tokenizer(name: str) -> tuple[PreTrainedTokenizerBase, int, int]:
    """Load a tokenizer of any kind, CLIP's too, for the captions that a decoder writes.

    Args:
        name (str): Name on the Hugging Face hub, or a local folder.

    Returns:
        tuple[PreTrainedTokenizerBase, int, int]: The tokenizer, and the ids that captions
        start and end with: those of bos and eos, else of cls and sep.

    Raises:
        OSError: If there is no such tokenizer, or it has no words, or needs code of its folder.
        ValueError: If it has neither pair.
    """
    advice = (
        f'no tokenizer in a local folder or on the hub: tokenizer={name!r}. Without a network, save '
        'one with AutoTokenizer.save_pretrained(FOLDER) elsewhere and give FOLDER; checkpoints of this '
        'version carry theirs'
    )

    def words(tokenizer: PreTrainedTokenizerBase) -> int:
        return len(tokenizer) - len(set(tokenizer.all_special_tokens))

    tokenizer = _load(AutoTokenizer.from_pretrained, name, lambda loaded: words(loaded) > 0, DECODER, advice)
    if words(tokenizer) <= 0:  # a folder without vocabulary gives an empty tokenizer, and no error
        raise OSError(
            f'{advice}. Cause: it has {len(tokenizer)} tokens, '
            f'{len(tokenizer) - words(tokenizer)} of them special ones, and so no word'
        )
    for start, end in (
        (tokenizer.bos_token_id, tokenizer.eos_token_id),
        (tokenizer.cls_token_id, tokenizer.sep_token_id),
    ):
        if start is not None and end is not None:
            return tokenizer, start, end
    raise ValueError(
        f'tokenizer={name!r} cannot say where a caption starts and ends: it has neither '
        'bos_token and eos_token nor cls_token and sep_token'
    )


def _load(load: Callable, name: str, complete: Callable, role: str, advice: str) -> Any:
    """Load a tokenizer, by its name, or the one of the checkpoint that has the role.

    Raises:
        OSError: With the advice and the cause.
    """
    saved = offered_tokenizer(role, name)
    if saved is not None and saved['name'] == name and not Path(name).is_dir():
        return read_as_clip(unpack_tokenizer(saved))  # no need to ask the hub
    try:
        # Code beside a tokenizer is neither run nor asked about.
        return read_as_clip(load_named(load, name, complete, trust_remote_code=False))
    except (OSError, ValueError) as error:
        if saved is None:
            raise OSError(f'{advice}. Cause: {error}') from error
        print_log(
            f"tokenizer={name!r} cannot be loaded, so the checkpoint's is used, once loaded as "
            f'{saved["name"]!r}. Cause: {error}',
            logger='current',
            level=logging.WARNING,
        )
        return read_as_clip(unpack_tokenizer(saved))


def decode_caption(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """Write token ids out as people write, without special tokens.

    CLIP's tokenizer takes each digit and each run of punctuation for a word, and so decodes "a t-shirt,
    no. 10" as "a t - shirt , no . 1 0". What its tokens do not tell apart becomes what is more
    common in captions: "a - b" and "a-b" are "a-b", "2 3" and "23" are "23", and "2nd" is "2 nd". What a
    tokenizer writes out as it was, such as GPT-2's, stays so.

    Args:
        tokenizer (PreTrainedTokenizerBase): The tokenizer that the ids are of.
        ids (list[int]): Token ids of one caption.

    Returns:
        str: The caption.
    """
    caption = str(tokenizer.decode(ids, skip_special_tokens=True))  # of one caption it is one text
    probe = 'a, b'
    if str(tokenizer.decode(tokenizer(probe, add_special_tokens=False)['input_ids'])).strip() == probe:
        return caption.strip()
    if isinstance(tokenizer, CLIPTokenizer):  # one that was copied or pickled leaves the ends of words in
        caption = caption.replace('</w>', ' ')
    for pattern, with_less in SPACES:
        caption = re.sub(pattern, with_less, caption)
    return caption.strip()


def train_tokenizer(captions: Iterable[str], folder: str | Path, vocab_size: int = 1000) -> CLIPTokenizer:
    """Train a tokenizer of CLIP's kind (lower-cased byte-pair encoding) and save it.

    For models trained from nothing; a pretrained CLIP needs its own tokenizer.
    The same captions get the same ids every time, as long as ``vocab_size``
    lets each of their words become one token.

    Args:
        captions (Iterable[str]): Text to learn from.
        folder (str | Path): Where to save it, for :func:`load_tokenizer`.
        vocab_size (int): The most tokens, some 400 for single characters and
            the special tokens among them.

    Returns:
        CLIPTokenizer: The tokenizer, as it was saved.
    """
    captions = [clean_caption(caption) for caption in captions]
    letters = [f'{letter} {letter}{letter}' for letter in string.printable]  # spell any ASCII word
    trained = CLIPTokenizer().train_new_from_iterator(captions + letters, vocab_size, show_progress=False)
    model = json.loads(trained.backend_tokenizer.to_str())['model']
    # The trainer breaks ties at random and numbers accordingly; the words seen get stable numbers.
    special = [trained.bos_token, trained.eos_token]
    words = sorted(
        {token for ids in trained(captions)['input_ids'] for token in trained.convert_ids_to_tokens(ids)}
        - set(special)
    )
    rest = sorted(set(model['vocab']) - set(special) - set(words))
    vocab = {token: i for i, token in enumerate(special + words + rest)}
    merges: Any = [tuple(merge) for merge in model['merges']]  # pairs, which transformers does not declare
    CLIPTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)
    return load_tokenizer(str(folder))
