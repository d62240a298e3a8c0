"""Parser that reads color, shape and motion from captions of moving shapes."""

import re
from collections.abc import Collection
from typing import NamedTuple

from .drawing import COLOURS, SHAPES
from .grammar import PHRASES, SUBJECTS


class ParsedCaption(NamedTuple):
    """Color, shape and motion that a caption names, each None if missing or ambiguous.

    Examples:
        >>> parse_caption('the red star rises from bottom to top')
        ParsedCaption(colour='red', shape='star', motion='up')
        >>> parse_caption('a red or blue star')
        ParsedCaption(colour=None, shape='star', motion=None)
    """

    colour: str | None
    shape: str | None
    motion: str | None


def _words(text: str) -> list[str]:
    return re.findall(r'\w+', text.lower())


MOTION_BY_PHRASE = {
    tuple(_words(phrase)): motion for motion, phrases in PHRASES.items() for phrase in phrases
}
# Words that occur only in motion phrases. No phrase is the end of another.
MOTION_WORDS = {word for phrase in MOTION_BY_PHRASE for word in phrase} - {
    word for s in SUBJECTS for word in _words(s)
}


def parse_caption(caption: str) -> ParsedCaption:
    """Read color, shape and motion from a generated caption or a caption of the dataset.

    A color or a shape counts if the caption names no other one and names it once. A motion counts if the
    caption ends with one of its phrases and no word of another motion precedes it. Punctuation and case are
    ignored.

    Args:
        caption (str): Any text.

    Returns:
        ParsedCaption: The parsed values.

    Examples:
        >>> parse_caption('a red circle')
        ParsedCaption(colour='red', shape='circle', motion=None)
    """
    words = _words(caption)
    end = next((phrase for phrase in MOTION_BY_PHRASE if tuple(words[-len(phrase) :]) == phrase), ())
    before = words[: len(words) - len(end)]
    motion = None if MOTION_WORDS & set(before) else MOTION_BY_PHRASE.get(end)
    return ParsedCaption(_only(words, COLOURS), _only(words, SHAPES), motion)


def _only(words: list[str], names: Collection[str]) -> str | None:
    found = [word for word in words if word in names]
    return found[0] if len(found) == 1 else None
