"""Reading video-caption annotations: one JSON file, in either of two forms."""
import json
from pathlib import Path
from typing import Any, List, Union

FORMS = ('either {"video.mp4": ["caption", ...], ...} or '
         '[{"video": "video.mp4", "captions": ["caption", ...], "start": seconds, "end": seconds, '
         '"group": name}, ...] with the last three optional')


def load_annotations(path: Union[str, Path]) -> List[dict]:
    """Read annotations into a list of entries, each checked.

    Args:
        path (str | Path): The JSON file, in mmaction2's form
            ``{video: [caption, ...]}`` or in the list form, which also carries
            time windows (``start`` and ``end`` in seconds) and a ``group`` of
            videos that are hard to tell apart.

    Returns:
        list[dict]: Entries with ``video`` (str) and ``captions`` (list[str]), and
        ``start``, ``end`` (float) and ``group`` (str) where given.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, not of either form, or an entry is at
            fault; the message names the file and the entry. A key twice is refused too.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'ann_file {path} does not exist: expected {FORMS}')
    try:
        content = json.loads(path.read_text(encoding='utf-8'), object_pairs_hook=without_repeats)
    except ValueError as error:
        raise ValueError(f'ann_file {path} cannot be read: {error}') from error
    if isinstance(content, dict):
        content = [dict(video=video, captions=captions) for video, captions in content.items()]
    if not isinstance(content, list) or not content:
        raise ValueError(f'ann_file {path}: expected {FORMS}, got '
                         f'{"nothing in it" if content in ([], {}) else type(content).__name__}')
    return [_check_entry(entry, f'ann_file {path}, entry {i}') for i, entry in enumerate(content)]


def without_repeats(pairs: List[tuple]) -> dict:
    """Make a JSON object, refusing a key that comes twice instead of dropping the first."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError(f'the key {next(k for k in keys if keys.count(k) > 1)!r} comes twice')
    return dict(pairs)


def _check_entry(entry: Any, where: str) -> dict:
    """Return an entry without its nulls, or raise a ValueError that says what is wrong ``where``."""
    if not isinstance(entry, dict) or not isinstance(entry.get('video'), str):
        raise ValueError(f'{where}: expected {FORMS}, got {str(entry)[:100]}')
    where = f'{where} ({entry["video"]})'
    unknown = set(entry) - {'video', 'captions', 'start', 'end', 'group'}
    if unknown:
        raise ValueError(f'{where}: unknown keys {sorted(unknown)}; expected {FORMS}')
    captions = entry.get('captions')
    if not isinstance(captions, list) or not all(isinstance(c, str) for c in captions):
        raise ValueError(f'{where}: captions must be a list of strings, got {str(captions)[:100]}')
    if not captions or not all(c.strip() for c in captions):
        raise ValueError(f'{where}: captions must hold at least one caption and no empty one, '
                         f'got {captions[:3]}')
    if entry.get('group') is not None and not isinstance(entry['group'], str):
        raise ValueError(f'{where}: group must be a name, got {str(entry["group"])[:100]}')
    for key in ('start', 'end'):
        if entry.get(key) is not None and not (
                type(entry[key]) in (int, float) and 0 <= entry[key] < float('inf')):
            raise ValueError(f'{where}: {key} must be seconds from 0 on, got {entry[key]!r}')
    if None not in (entry.get('start'), entry.get('end')) and entry['start'] >= entry['end']:
        raise ValueError(f'{where}: start={entry["start"]} must lie before end={entry["end"]}')
    return {key: value for key, value in entry.items() if value is not None}
