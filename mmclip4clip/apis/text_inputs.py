from collections.abc import Iterable
from typing import Any

from ..datasets.annotations import caption_fault


def read_texts(text: Any) -> list[str]:
    """Return captions as a list. A single one counts as a list of one.

    Args:
        text (Any): The captions.

    Raises:
        ValueError: If there is no caption, or one is blank.
        TypeError: If a caption is not a string.

    Examples:
        >>> read_texts('a dog runs')
        ['a dog runs']
    """
    captions = [text] if isinstance(text, str) else text
    if isinstance(captions, (bytes, dict)) or not isinstance(captions, Iterable):
        raise TypeError(f'text must be a list of strings, got {type(text).__name__}')
    captions = list(captions)
    if not captions:
        raise ValueError('text is empty: expected at least one caption')
    for number, caption in enumerate(captions):
        if not isinstance(caption, str):
            raise TypeError(f'text[{number}] must be a string, got {type(caption).__name__}')
        fault = caption_fault(caption)
        if fault:
            raise ValueError(f'text[{number}] {fault}')
    return captions
