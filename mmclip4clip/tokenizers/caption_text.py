"""Tokenization of captions as in CLIP's training."""

import json

from tokenizers import normalizers
from transformers import PreTrainedTokenizerBase

from .cleaning import encode_beginnings
from .clip_tokenizer import CLIPTokenizer


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

    See :func:`encode_beginnings` for how much of a long caption is read.

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

    def encode(cleaned: list[str]) -> list[list[int]]:
        texts = lower_captions(tokenizer, cleaned)
        return tokenizer(
            texts, add_special_tokens=False, truncation=True, max_length=2 * max_tokens, verbose=False
        )['input_ids']

    return encode_beginnings(encode, captions, max_tokens)


def lower_captions(tokenizer: PreTrainedTokenizerBase, captions: list[str]) -> list[str]:
    """Lowercase clean captions for the tokenizers that were trained so."""
    # Before tokenization, so that <|ENDOFTEXT|> is one token, as in CLIP. SigLIP 2 was trained so, too.
    return [caption.lower() for caption in captions] if reads_lowercase(tokenizer) else captions


def reads_lowercase(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether captions are lowercased before this tokenizer reads them."""
    return isinstance(tokenizer, CLIPTokenizer) or bool(getattr(tokenizer, 'reads_lowercase', False))


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
