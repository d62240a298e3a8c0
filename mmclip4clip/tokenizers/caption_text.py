"""Cleaning and tokenization of captions as in CLIP's training."""

import html
import json
import re

import ftfy
from tokenizers import normalizers
from transformers import PreTrainedTokenizerBase

from .clip_tokenizer import CLIPTokenizer

CLEANING = 'ftfy, html twice, spaces'  # identifies clean_caption in checkpoints
# Number of characters to read of a caption. The next number is used if there are too few tokens. The longest
# paragraph of ActivityNet has 1,843 characters.
PREFIX_LENGTHS = (10_000, 100_000, 1_000_000)


def clean_caption(caption: str) -> str:
    """Clean a caption as in CLIP's training: fix encoding and quotes, unescape HTML, join white space.

    Lowercasing is left to CLIP's tokenizer, because other tokenizers are case-sensitive.

    Args:
        caption (str): A caption. It is truncated to a million characters.

    Returns:
        str: The cleaned caption.

    Examples:
        >>> clean_caption('it’s  a&amp;nbsp;dog')
        "it's a dog"
    """
    text = resolve_html(resolve_html(ftfy.fix_text(_shorten_numbers(caption[: PREFIX_LENGTHS[-1]]))))
    return re.sub(r'\s+', ' ', text).strip()


def resolve_html(text: str) -> str:
    """Unescape HTML entities once, including numbers that are too long for ``int``."""
    return html.unescape(_shorten_numbers(text))


def _shorten_numbers(text: str) -> str:
    """Shorten character references of over a thousand digits, which ``html.unescape`` cannot parse."""
    return re.sub(r'#(\d{8})\d{1000,}', r'#\1', text)


def use_clip_normalizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Make a CLIP tokenizer of transformers only lowercase its input, as CLIP's does.

    The tokenizer of transformers also composes accents (NFC). :func:`clean_caption` already does that, before
    it unescapes HTML, and CLIP does it only once. Other tokenizers, and CLIP tokenizers with another
    normalizer, are not changed.
    """
    if isinstance(tokenizer, CLIPTokenizer):
        backend = tokenizer.backend_tokenizer
        steps = (json.loads(backend.to_str())['normalizer'] or {}).get('normalizers', [])
        if [step['type'] for step in steps] == ['NFC', 'Replace', 'Lowercase']:
            backend.normalizer = normalizers.Lowercase()
    return tokenizer


def encode_captions(
    tokenizer: PreTrainedTokenizerBase, captions: list[str], max_tokens: int
) -> list[list[int]]:
    """Clean captions and convert them to token ids, without start and end tokens, in bounded time.

    Cleaning can take 0.1 s for 10,000 characters, so a long caption is truncated first. This does not change
    the result: more characters are read unless there are twice as many tokens as needed. A token has
    few characters (at most 32 in CLIP's vocabulary) and depends only on its word, so that the truncation
    cannot affect the tokens that are kept.

    Args:
        tokenizer (PreTrainedTokenizerBase): Any tokenizer.
        captions (list[str]): N captions.
        max_tokens (int): Maximum number of tokens per caption; longer captions are truncated.

    Returns:
        list[list[int]]: Token ids of each caption.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.tokenizers import train_tokenizer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tokenizer = train_tokenizer(['a red circle', 'a blue square'], folder)
        >>> ids = encode_captions(tokenizer, ['a red square', 'a circle'], max_tokens=2)
        >>> [tokenizer.decode(row) for row in ids]
        ['a red', 'a circle']
    """
    ids = _encode(tokenizer, [caption[: PREFIX_LENGTHS[0]] for caption in captions], max_tokens)
    for number, caption in enumerate(captions):
        for size, before in zip(PREFIX_LENGTHS[1:], PREFIX_LENGTHS):
            if len(caption) > before and len(ids[number]) < 2 * max_tokens:
                (ids[number],) = _encode(tokenizer, [caption[:size]], max_tokens)
    return [row[:max_tokens] for row in ids]


def special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the ids that a tokenizer adds before and after the words of a caption.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.tokenizers import train_tokenizer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tokenizer = train_tokenizer(['a red circle'], folder)
        >>> special_ids(tokenizer)
        ([0], [1])
    """
    words = tokenizer('a', add_special_tokens=False)['input_ids']
    ids = tokenizer('a')['input_ids']
    start = next(i for i in range(len(ids)) if ids[i : i + len(words)] == words)
    return ids[:start], ids[start + len(words) :]


def prepare_captions(tokenizer: PreTrainedTokenizerBase, captions: list[str]) -> list[str]:
    """Clean captions, and lowercase them for the tokenizers that were trained so."""
    cleaned = [clean_caption(caption) for caption in captions]
    # Before tokenization, so that <|ENDOFTEXT|> is one token, as in CLIP. SigLIP 2 was trained so, too.
    if isinstance(tokenizer, CLIPTokenizer) or getattr(tokenizer, 'reads_lowercase', False):
        return [caption.lower() for caption in cleaned]
    return cleaned


def _encode(tokenizer: PreTrainedTokenizerBase, captions: list[str], max_tokens: int) -> list[list[int]]:
    """Return up to ``2 * max_tokens`` token ids of each caption."""
    return tokenizer(
        prepare_captions(tokenizer, captions),
        add_special_tokens=False,
        truncation=True,
        max_length=2 * max_tokens,
        verbose=False,
    )['input_ids']
