"""Read video-caption annotations from a JSON file in one of two formats."""

import math
import os.path as osp
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..safe_json import read_json, shorten
from ..tokenizers.cleaning import resolve_html

EXPECTED_FORMS = (
    'either {"video.mp4": ["caption", ...], ...} or '
    '[{"video": "video.mp4", "captions": ["caption", ...], "start": seconds, "end": seconds, '
    '"group": name}, ...] with the last three optional'
)
MAX_CAPTION = 100_000  # characters; the longest paragraph of ActivityNet has fewer than 2,000
MAX_NAME = 4_096  # characters; the maximum length of a path on Linux
INVISIBLE = {'Cc', 'Cf', 'Cs', 'Me', 'Mn', 'Zl', 'Zp', 'Zs'}  # Unicode categories
FILLERS = '\u115f\u1160\u2800\u3164\uffa0'  # letters and symbols that are invisible


def load_annotations(path: str | Path, absolute: bool = False) -> list[dict]:
    """Read and validate annotations.

    Time and memory are linear in the size of the file, whatever its content. A caption has at most 100,000
    characters, a name at most 4,096.

    Args:
        path (str | Path): The JSON file, in mmaction2's format ``{video: [caption, ...]}`` or in the list
            format. The list format also supports time windows (``start`` and ``end`` in seconds) and a
            ``group`` of videos that are hard to distinguish.
        absolute (bool): Whether videos may have absolute names, for datasets without a video folder.

    Returns:
        list[dict]: Entries with ``video`` (str) and ``captions`` (list[str]), and
        ``start``, ``end`` (int or float) and ``group`` (str) where given.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not UTF-8 text, not JSON, nested too deeply, in another format or has a
            repeated key, or if an entry is invalid: a name outside the video folder, a caption that is too
            long or blank, NUL or half of a surrogate pair in a text, a time that is not a finite number, or
            a window that does not end after its start. The message names the file and the entry.

    Examples:
        >>> import json, tempfile
        >>> from mmclip4clip.datasets.annotations import load_annotations
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f'{folder}/train.json', 'w') as file:
        ...         json.dump({'video0.mp4': ['a man sings', 'someone is singing']}, file)
        ...     load_annotations(f'{folder}/train.json')
        [{'video': 'video0.mp4', 'captions': ['a man sings', 'someone is singing']}]
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
    """Join the captions of a video into one paragraph.

    Args:
        captions (Sequence[str]): The captions.
        where (str): The file and the video, for the error message.

    Returns:
        str: The captions, separated by spaces.

    Raises:
        ValueError: If the paragraph has more than 100,000 characters.
    """
    text = ' '.join(captions)
    if len(text) > MAX_CAPTION:
        raise ValueError(
            f'{where}: its {len(captions):,} captions, joined into a paragraph, have '
            f'{len(text):,} characters, more than {MAX_CAPTION:,}'
        )
    return text


def name_fault(name: Any, absolute: bool = False) -> str | None:
    """Describe what is wrong with the file name of a video; None if it is valid."""
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
    """Describe what is wrong with a caption; None if it is valid."""
    return _text_fault(caption, MAX_CAPTION) if isinstance(caption, str) else 'is no text'


def group_fault(group: Any) -> str | None:
    """Describe what is wrong with the name of a group; None if it is valid."""
    if not isinstance(group, str):
        return f'must be a name, got {shorten(group)}'
    fault = _text_fault(group, MAX_NAME)
    return fault and f'{fault}: {shorten(group)}'


def window_fault(start: Any, end: Any) -> str | None:
    """Describe what is wrong with a time window in seconds, whose ends may be None; None if it is valid."""
    for key, value in (('start', start), ('end', end)):
        if value is not None and not _is_time(value):
            return f'{key} must be seconds from 0 on, got {shorten(value)}'
    if end is not None and (start or 0) >= end:
        return f'start={shorten(start or 0)} must lie before end={shorten(end)}'
    return None


def _is_time(value: Any) -> bool:
    if type(value) not in (int, float):  # a bool is an int too
        return False
    try:
        return math.isfinite(value) and value >= 0
    except OverflowError:  # an integer larger than any float
        return False


def _text_fault(text: str, most: int) -> str | None:
    if len(text) > most:  # first, because the other checks read the whole text
        return f'has {len(text):,} characters, more than {most:,}'
    if '\0' in text:
        return 'has a NUL character'
    if not text.isascii() and any('\ud800' <= character <= '\udfff' for character in text):
        return 'has half of a surrogate pair, which is no character'
    return None if _shows_something(text) else 'is empty or shows nothing'


def _shows_something(text: str) -> bool:
    """Return whether a text has a visible character, after HTML entities such as ``&nbsp;`` are resolved."""
    return any(
        unicodedata.category(character) not in INVISIBLE and character not in FILLERS
        for character in resolve_html(resolve_html(text))
    )


def _check_entry(entry: Any, where: str, absolute: bool) -> dict:
    """Return an entry without null values, or raise a ValueError that names ``where``."""
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
    fault = None if entry.get('group') is None else group_fault(entry['group'])
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
        raise ValueError(f'{where}: captions must contain at least one caption')
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
