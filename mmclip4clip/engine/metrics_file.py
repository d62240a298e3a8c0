"""Read and extend ``metrics.json`` of a work dir, a list with one entry per evaluation."""

import json
import logging
import os
from pathlib import Path

from mmengine.logging import print_log

from ..atomic_file import atomic_file
from ..file_lock import locked
from ..safe_json import read_json, shorten

METRICS = 'metrics.json'
ENTRY_KEY = ('run', 'stage', 'epoch', 'iter')  # identifies an evaluation of a training


def read_entries(path: Path) -> list[dict]:
    """Read the entries, oldest first.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is truncated, or not a list of entries.
    """
    try:
        entries = read_json(path)
    except IsADirectoryError as error:
        raise ValueError(f'{path} is a folder') from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(
            f'{path} should contain a JSON list of evaluations, one dict each, got {shorten(entries)}'
        )
    return entries


def append_entry(path: Path, entry: dict) -> None:
    """Add an entry atomically, with a lock against concurrent runs.

    A resumed training may evaluate a step again. Then the new entry replaces the previous one. A file that
    cannot be read is renamed with a warning, and a new file is started.
    """
    with locked(path.with_name(f'.{path.stem}.lock')):
        entries = _read_or_move(path)
        entry_key = [entry.get(key) for key in ENTRY_KEY]
        again = [
            number for number, old in enumerate(entries) if [old.get(key) for key in ENTRY_KEY] == entry_key
        ]
        if again and None not in entry_key:
            entries[again[0]] = entry
        else:
            entries.append(entry)
        with atomic_file(path, 'w') as file:
            file.write(json.dumps(entries, indent=1) + '\n')


def _read_or_move(path: Path) -> list[dict]:
    """Read the entries, an empty list if there is no file; rename a file that cannot be read."""
    try:
        return read_entries(path)
    except FileNotFoundError:
        return []
    except ValueError as error:
        number = 1
        while (aside := path.with_name(f'{path.stem}.damaged{number}{path.suffix}')).exists():
            number += 1
        os.replace(path, aside)
        print_log(
            f'{error}. It was renamed to {aside}, and a new {path.name} is started',
            logger='current',
            level=logging.WARNING,
        )
        return []
