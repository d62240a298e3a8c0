"""``metrics.json`` of a work dir: a list with one entry an evaluation, by every run in it."""

import json
import logging
import os
from pathlib import Path

from mmengine.logging import print_log

from ..atomic_file import atomic_file
from ..file_lock import locked
from ..safe_json import read_json, shorten

METRICS = 'metrics.json'
ENTRY_KEY = ('run', 'stage', 'epoch', 'iter')  # what tells the evaluations of trainings apart


def read_entries(path: Path) -> list[dict]:
    """Read the entries, oldest first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is cut short, or something else than a list of entries.
    """
    try:
        entries = read_json(path)
    except IsADirectoryError as error:
        raise ValueError(f'{path} is a folder') from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(
            f'{path} should hold a JSON list of evaluations, one dict each, got {shorten(entries)}'
        )
    return entries


def append_entry(path: Path, entry: dict) -> None:
    """Add an entry, so that a crash leaves either the old or the new file, and no run loses another's.

    A training that was stopped and resumed may evaluate the same step again: that entry takes the place of
    the one before. A file that cannot be read is moved aside with a warning, and a new one begins.
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
    """Read the entries, none if there is no file; move one that cannot be read to a name that is free."""
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
            f'{error}. It is now {aside}, and a new {path.name} begins',
            logger='current',
            level=logging.WARNING,
        )
        return []
