"""Reading video-caption annotations: one JSON file, in either of two forms."""

import math
import os.path as osp
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..safe_json import read_json, shorten
from ..tokenizers.caption_text import resolve_html

EXPECTED_FORMS = (
    'either {"video.mp4": ["caption", ...], ...} or '
    '[{"video": "video.mp4", "captions": ["caption", ...], "start": seconds, "end": seconds, '
    '"group": name}, ...] with the last three optional'
)
MAX_CAPTION = 100_000  # characters; the longest paragraph of ActivityNet has less than 2,000
MAX_NAME = 4_096  # characters; what Linux takes as a path
INVISIBLE = {'Cc', 'Cf', 'Cs', 'Me', 'Mn', 'Zl', 'Zp', 'Zs'}  # Unicode's categories
FILLERS = '\u115f\u1160\u2800\u3164\uffa0'  # letters and symbols that show nothing


def load_annotations(path: str | Path, absolute: bool = False) -> list[dict]:
    """Read annotations into a list of entries, each checked.

    Takes time and memory in proportion to the file, whatever is in it. A caption has at most
    100,000 characters, a name at most 4,096.

    Args:
        path (str | Path): The JSON file, in mmaction2's form
            ``{video: [caption, ...]}`` or in the list form, which also carries
            time windows (``start`` and ``end`` in seconds) and a ``group`` of
            videos that are hard to tell apart.
        absolute (bool): Whether videos may have absolute names, for where no folder is given
            that they lie in.

    Returns:
        list[dict]: Entries with ``video`` (str) and ``captions`` (list[str]), and
        ``start``, ``end`` (int or float) and ``group`` (str) where given.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8 text, not JSON, nested too deeply, not of either form, has a key
            twice, or an entry is at fault: a name that is none of a file below a folder, a caption that
            is too long or shows nothing, NUL or half of a surrogate pair in a text, a time that is no
            finite number, a window that does not end after its start. The message names the file and
            the entry.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'ann_file {path} does not exist: expected {EXPECTED_FORMS}')
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(f'ann_file {error}; expected {EXPECTED_FORMS}') from error
    if isinstance(content, dict):
        content = [dict(video=video, captions=captions) for video, captions in content.items()]
    if not isinstance(content, list) or not content:
        raise ValueError(
            f'ann_file {path}: expected {EXPECTED_FORMS}, got '
            f'{"nothing in it" if content in ([], {}) else type(content).__name__}'
        )
    return [_check_entry(entry, f'ann_file {path}, entry {i}', absolute) for i, entry in enumerate(content)]


def paragraph(captions: Sequence[str], where: str) -> str:
    """Join all captions of a video into one.

    Args:
        captions (Sequence[str]): The captions.
        where (str): The file and the video, for the error.

    Returns:
        str: The captions with spaces between.

    Raises:
        ValueError: If that has more than the 100,000 characters of a caption.
    """
    text = ' '.join(captions)
    if len(text) > MAX_CAPTION:
        raise ValueError(
            f'{where}: its {len(captions):,} captions, joined into a paragraph, have '
            f'{len(text):,} characters, more than {MAX_CAPTION:,}'
        )
    return text


def name_fault(name: Any, absolute: bool = False) -> str | None:
    """Say what is wrong with the name of a video's file, in words that follow the name; None if nothing."""
    if not isinstance(name, str):
        return f'must be the name of a file, got {shorten(name)}'
    parts = name.split('/')
    fault = _text_fault(name, MAX_NAME)
    if not fault and any(unicodedata.category(character) == 'Cc' for character in name):
        fault = 'has a control character'
    if not fault and osp.isabs(name) and not absolute:
        fault = 'is absolute, but must lie in the folder of the videos'
    if not fault and '..' in parts:
        fault = 'has .., but must lie in the folder of the videos'
    if not fault and parts[-1] in ('', '.'):
        fault = 'names a folder'
    return fault and f'{fault}: {shorten(name)}'


def caption_fault(caption: Any) -> str | None:
    """Say what is wrong with a caption, in words that follow it; None if nothing is."""
    return _text_fault(caption, MAX_CAPTION) if isinstance(caption, str) else 'is no text'


def group_fault(group: Any) -> str | None:
    """Say what is wrong with the name of a group, in words that follow it; None if nothing is."""
    if not isinstance(group, str):
        return f'must be a name, got {shorten(group)}'
    fault = _text_fault(group, MAX_NAME)
    return fault and f'{fault}: {shorten(group)}'


def window_fault(start: Any, end: Any) -> str | None:
    """Say what is wrong with a time window in seconds, either end of which may be None; None if nothing."""
    for key, value in (('start', start), ('end', end)):
        if value is not None and not _is_time(value):
            return f'{key} must be seconds from 0 on, got {shorten(value)}'
    if end is not None and (start or 0) >= end:
        return f'start={shorten(start or 0)} must lie before end={shorten(end)}'
    return None


def _is_time(value: Any) -> bool:
    if type(value) not in (int, float):  # True is an int too
        return False
    try:
        return math.isfinite(value) and value >= 0
    except OverflowError:  # an integer beyond any float
        return False


def _text_fault(text: str, most: int) -> str | None:
    if len(text) > most:  # first, as what follows looks at all of it
        return f'has {len(text):,} characters, more than {most:,}'
    if '\0' in text:
        return 'has a NUL character'
    if not text.isascii() and any('\ud800' <= character <= '\udfff' for character in text):
        return 'has half of a surrogate pair, which is no character'
    return None if _shows_something(text) else 'is empty or shows nothing'


def _shows_something(text: str) -> bool:
    """Look for a character to see, also behind HTML's names of blanks such as ``&nbsp;``."""
    return any(
        unicodedata.category(character) not in INVISIBLE and character not in FILLERS
        for character in resolve_html(resolve_html(text))
    )


def _check_entry(entry: Any, where: str, absolute: bool) -> dict:
    """Return an entry without its nulls, or raise a ValueError that says what is wrong ``where``."""
    if not isinstance(entry, dict) or not isinstance(entry.get('video'), str):
        raise ValueError(f'{where}: expected {EXPECTED_FORMS}, got {shorten(entry)}')
    fault = name_fault(entry['video'], absolute)
    if fault:
        raise ValueError(f'{where}: video {fault}')
    where = f'{where} ({entry["video"]})'
    unknown = set(entry) - {'video', 'captions', 'start', 'end', 'group'}
    if unknown:
        raise ValueError(f'{where}: unknown keys {shorten(sorted(unknown))}; expected {EXPECTED_FORMS}')
    _check_captions(entry.get('captions'), where)
    fault = entry.get('group') is not None and group_fault(entry['group'])
    if fault:
        raise ValueError(f'{where}: group {fault}')
    fault = window_fault(entry.get('start'), entry.get('end'))
    if fault:
        raise ValueError(f'{where}: {fault}')
    return {key: value for key, value in entry.items() if value is not None}


def _check_captions(captions: Any, where: str) -> None:
    if not isinstance(captions, list):
        came = captions[:100] if isinstance(captions, str) else shorten(captions)
        raise ValueError(f'{where}: captions must be a list of strings, got {came}')
    if not captions:
        raise ValueError(f'{where}: captions must hold at least one caption')
    for number, caption in enumerate(captions):
        if not isinstance(caption, str):
            raise ValueError(
                f'{where}: captions must be a list of strings, got {shorten(caption)} as caption {number}'
            )
        fault = caption_fault(caption)
        if fault:
            raise ValueError(
                f'{where}: caption {number} {fault}, got {shorten(caption)}; expected at least '
                'one caption and no empty one'
            )
