"""From captions as people wrote them to token ids, as CLIP's own training had them."""

import html
import json
import re

import ftfy
from tokenizers import normalizers
from transformers import CLIPTokenizer, PreTrainedTokenizerBase

CLEANING = 'ftfy, html twice, spaces'  # what a checkpoint calls clean_caption; another one has another name
# Characters of a caption that are read, the later numbers only where those before give too few tokens. The
# longest paragraph of ActivityNet has 1,843.
READ = (10_000, 100_000, 1_000_000)


def clean_caption(caption: str) -> str:
    """Repair a caption as CLIP's training did: encoding and quotes, HTML's escapes, white space.

    The small letters that CLIP also makes are left to its tokenizer, as other tokenizers know capitals.

    Args:
        caption (str): A caption. Of more than a million characters, the rest is left out.

    Returns:
        str: For example "it's a dog" for "it’s  a&amp;nbsp;dog".
    """
    text = resolve_html(resolve_html(ftfy.fix_text(_shorten_numbers(caption[: READ[-1]]))))
    return re.sub(r'\s+', ' ', text).strip()


def resolve_html(text: str) -> str:
    """Resolve HTML's names and numbers of characters once, also numbers that are too long for an ``int``."""
    return html.unescape(_shorten_numbers(text))


def _shorten_numbers(text: str) -> str:
    """Shorten numbers of a thousand digits: HTML reads them as it does 99999999, Python refuses them."""
    return re.sub(r'#(\d{8})\d{1000,}', r'#\1', text)


def read_as_clip(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Let a CLIP tokenizer of transformers leave letters as they are, but for making them small.

    Transformers' also composes accents (NFC). So does :func:`clean_caption`, but before it resolves HTML's
    escapes; CLIP does it once. A tokenizer that normalizes in another way, or is not CLIP's, stays as it is.
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
    """Clean captions and turn them into token ids, without start and end, in bounded time.

    Cleaning takes 0.1 s for 10,000 odd characters, so a long caption is cut first. What is kept does not
    change: it is read on unless twice the tokens came. A token holds few characters (32 at most in CLIP's
    vocabulary), and depends on no word but its own, so the cut is far from those that are kept.

    Args:
        tokenizer (PreTrainedTokenizerBase): Of any kind.
        captions (list[str]): N captions.
        max_tokens (int): The most tokens of a caption; the rest is left out.

    Returns:
        list[list[int]]: Token ids of each caption.
    """
    ids = _encode(tokenizer, [caption[: READ[0]] for caption in captions], max_tokens)
    for number, caption in enumerate(captions):
        for size, before in zip(READ[1:], READ):
            if len(caption) > before and len(ids[number]) < 2 * max_tokens:
                (ids[number],) = _encode(tokenizer, [caption[:size]], max_tokens)
    return [row[:max_tokens] for row in ids]


def _encode(tokenizer: PreTrainedTokenizerBase, captions: list[str], max_tokens: int) -> list[list[int]]:
    """Return up to twice the tokens that are kept of each caption."""
    cleaned = [clean_caption(caption) for caption in captions]
    if isinstance(tokenizer, CLIPTokenizer):  # as CLIP: here, so that <|ENDOFTEXT|> is one word too
        cleaned = [caption.lower() for caption in cleaned]
    return tokenizer(
        cleaned, add_special_tokens=False, truncation=True, max_length=2 * max_tokens, verbose=False
    )['input_ids']
