"""Reading captions of moving shapes back into what they say."""

import re
from collections.abc import Collection
from typing import NamedTuple

from .generator import COLOURS, SHAPES
from .grammar import PHRASES, SUBJECTS


class SaidOfShape(NamedTuple):
    """What a caption says, None for each thing that it does not say, or not once."""

    colour: str | None
    shape: str | None
    motion: str | None


def _words(text: str) -> list[str]:
    return re.findall(r'\w+', text.lower())


MOTION_OF = {tuple(_words(phrase)): motion for motion, phrases in PHRASES.items() for phrase in phrases}
# Words of motions, which no caption has before its motion begins. No phrase is the end of another.
MOVING = {word for phrase in MOTION_OF for word in phrase} - {word for s in SUBJECTS for word in _words(s)}


def parse_caption(caption: str) -> SaidOfShape:
    """Read colour, shape and motion out of a caption, generated or written by the grammar.

    A colour or a shape counts if it is the only one named, and named once. A
    motion counts if the caption ends with one of its phrases and no word of another
    motion comes before it. Punctuation and case do not matter.

    Args:
        caption (str): Any text.

    Returns:
        SaidOfShape: What was read; None for what does not count.
    """
    words = _words(caption)
    end = next((phrase for phrase in MOTION_OF if tuple(words[-len(phrase) :]) == phrase), ())
    before = words[: len(words) - len(end)]
    motion = None if MOVING & set(before) else MOTION_OF.get(end)
    return SaidOfShape(_only(words, COLOURS), _only(words, SHAPES), motion)


def _only(words: list[str], names: Collection[str]) -> str | None:
    found = [word for word in words if word in names]
    return found[0] if len(found) == 1 else None
