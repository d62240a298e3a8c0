"""Tokenization of captions as in CLIP's training, and their text again."""

import json
import re

from tokenizers import normalizers
from transformers import PreTrainedTokenizerBase

from .cleaning import encode_beginnings
from .clip_tokenizer import CLIPTokenizer

# Superfluous spaces of tokenizers that split at punctuation, such as CLIP's, and their replacements.
SPACES = (
    (r'(?<=\d) +(?=\d)', ''),  # 1 0
    (r'(?<=\d) *([.:]) *(?=\d)', r'\1'),  # 3 : 30
    (r'(?<=\d) *, *(?=\d{3}\b)', ','),  # 1 , 000
    (r'(?<=\w) +([-/]) +(?=\w)', r'\1'),  # t - shirt
    (r"(?<=\w) +(?='(?:s|t|re|ve|m|ll|d)\b)", ''),  # man 's
    (r' +([.,;:!?])', r'\1'),
)


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


def decode_caption(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """Convert token ids to text without special tokens and superfluous spaces.

    CLIP's tokenizer treats each digit and each run of punctuation as a word. So it decodes "a t-shirt,
    no. 10" as "a t - shirt , no . 1 0". Ambiguous spaces become what is more common in captions:
    "a - b" and "a-b" become "a-b", "2 3" and "23" become "23", and "2nd" becomes "2 nd". The output of
    tokenizers that keep spaces, such as GPT-2's, is not changed.

    Args:
        tokenizer (PreTrainedTokenizerBase): The tokenizer of the ids.
        ids (list[int]): Token ids of one caption.

    Returns:
        str: The caption.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.tokenizers import train_tokenizer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tokenizer = train_tokenizer(['a red t-shirt'], folder)
        >>> decode_caption(tokenizer, tokenizer('A red t-shirt')['input_ids'])
        'a red t-shirt'
    """
    caption = str(tokenizer.decode(ids, skip_special_tokens=True))  # str, because of the declared return type
    probe = 'a, b'
    if str(tokenizer.decode(tokenizer(probe, add_special_tokens=False)['input_ids'])).strip() == probe:
        return caption.strip()
    if isinstance(tokenizer, CLIPTokenizer):  # a copied or pickled one does not remove the ends of words
        caption = caption.replace('</w>', ' ')
    for pattern, replacement in SPACES:
        caption = re.sub(pattern, replacement, caption)
    return caption.strip()
