"""Cleaning of captions as in CLIP's training, and the length that is needed of a long one."""

import html
import re
from collections.abc import Callable

import ftfy
import numpy as np

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


def encode_beginnings(
    encode: Callable[[list[str]], list[list[int]]], captions: list[str], max_tokens: int
) -> list[list[int]]:
    """Clean captions and convert them to token ids in bounded time.

    Cleaning can take 0.1 s for 10,000 characters, so a long caption is truncated first. This does not change
    the result: more characters are read unless there are twice as many tokens as needed. A token has
    few characters (at most 32 in CLIP's vocabulary) and depends only on its word, so that the truncation
    cannot affect the tokens that are kept.

    Args:
        encode (Callable): Converts cleaned captions to their ids without start and end tokens, of which it
            may drop those after the first ``2 * max_tokens``.
        captions (list[str]): N captions.
        max_tokens (int): Maximum number of tokens per caption; longer captions are truncated.

    Returns:
        list[list[int]]: Token ids of each caption.

    Examples:
        >>> def lengths(texts):
        ...     return [[len(word) for word in text.split()] for text in texts]
        >>> encode_beginnings(lengths, ['a  red dog'], max_tokens=2)
        [[1, 3]]
    """

    def clean_and_encode(texts: list[str]) -> list[list[int]]:
        return encode([clean_caption(text) for text in texts])

    ids = clean_and_encode([caption[: PREFIX_LENGTHS[0]] for caption in captions])
    for number, caption in enumerate(captions):
        for size, before in zip(PREFIX_LENGTHS[1:], PREFIX_LENGTHS):
            if len(caption) > before and len(ids[number]) < 2 * max_tokens:
                (ids[number],) = clean_and_encode([caption[:size]])
    return [row[:max_tokens] for row in ids]


def pad_rows(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Pad the ids of N captions with 0.

    Args:
        rows (list[list[int]]): Ids of each caption.

    Returns:
        tuple[np.ndarray, np.ndarray]: Ids, and the mask of the real ones, (N, L) int64 each.

    Examples:
        >>> pad_rows([[5, 6], [7]])[0].tolist()
        [[5, 6], [7, 0]]
    """
    lengths = np.array([len(ids) for ids in rows])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    padded = np.zeros_like(mask)
    for row, ids in zip(padded, rows):
        row[: len(ids)] = ids
    return padded, mask
