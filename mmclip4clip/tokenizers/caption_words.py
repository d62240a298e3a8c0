"""The words of a caption, and the tokens of each."""

import re
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from .caption_text import lower_captions, special_ids
from .cleaning import PREFIX_LENGTHS, clean_caption

START, END = '[start]', '[end]'
# A word with its apostrophes and hyphens, a sign of Chinese or Japanese, or punctuation.
CJK = '\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff'
WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+(?:['’-][^\W{CJK}]+)*|[^\w\s]+")
MARKS = re.compile(r'</w>$|^##|^▁|^Ġ')  # of pieces of words, in the vocabularies of several tokenizers


class CaptionWord(NamedTuple):
    """A word of a caption as a text tower reads it.

    Args:
        text (str): The word, or ``'[start]'`` and ``'[end]'`` for the tokens that the tokenizer adds.
        tokens (list[int]): Positions of its tokens in the token ids of the caption.

    Examples:
        >>> CaptionWord('skateboard', [2, 3]).tokens
        [2, 3]
    """

    text: str
    tokens: list[int]


def find_words(tokenizer: PreTrainedTokenizerBase, caption: str, max_words: int) -> list[CaptionWord]:
    """Find the words of a caption that a text tower reads, and the tokens of each.

    Args:
        tokenizer (PreTrainedTokenizerBase): The tokenizer of the text tower.
        caption (str): The caption, as :class:`TokenizeCaptions` gets it.
        max_words (int): Maximum number of tokens, start and end included, as in :class:`TokenizeCaptions`.

    Returns:
        list[CaptionWord]: The words in order. Those whose tokens are cut off are left out.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.tokenizers import train_tokenizer
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tokenizer = train_tokenizer(['a red circle'], folder)
        >>> [word.text for word in find_words(tokenizer, 'A red circle.', max_words=8)]
        ['[start]', 'a', 'red', 'circle', '.', '[end]']
    """
    before, after = (len(ids) for ids in special_ids(tokenizer))
    most = max_words - before - after
    pieces: list[tuple[object, str]] = []
    for size in PREFIX_LENGTHS:  # in bounded time, as encode_captions
        pieces = _pieces(tokenizer, caption[:size], 2 * most)
        if len(caption) <= size or len(pieces) == 2 * most:
            break
    words = [CaptionWord(START, [number]) for number in range(before)]
    last: object = None
    for count, (place, text) in enumerate(pieces[:most], before):
        if place is None or place != last:
            words.append(CaptionWord(text, []))
        last = place
        words[-1].tokens.append(count)
    read = before + len(pieces[:most])
    return [*words, *(CaptionWord(END, [read + number]) for number in range(after))]


def _pieces(tokenizer: PreTrainedTokenizerBase, caption: str, most: int) -> list[tuple[object, str]]:
    """Return the place of the word of each token, which is equal for tokens of one word, and the word."""
    (text,) = lower_captions(tokenizer, [clean_caption(caption)])
    options = dict(add_special_tokens=False, truncation=True, max_length=most, verbose=False)
    if not tokenizer.is_fast:  # it does not tell where in the text its tokens are
        ids = tokenizer(text, **options)['input_ids']
        return [(None, MARKS.sub('', str(piece))) for piece in tokenizer.convert_ids_to_tokens(ids)]
    places = [(found.span(), found.group()) for found in WORD.finditer(text)]
    pieces: list[tuple[object, str]] = []
    for start, end in tokenizer(text, return_offsets_mapping=True, **options)['offset_mapping']:
        start += len(text[start:end]) - len(text[start:end].lstrip())  # a token may begin with a space
        word = next((word for word in places if word[0][0] <= start < word[0][1]), None)
        pieces.append(word or (None, text[start:end]))
    return pieces
