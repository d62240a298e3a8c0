import os
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .entry import DamagedEntryError, pack_entry, read_entry
from .quota import PARTIAL, DiskQuota


class FrameStore:
    """Keep frames in files, one an entry, that any number of processes may share.

    An entry is written under another name and renamed, so that it is there as a whole or not at all, and
    checked when it is read. Whatever is wrong with one, it counts as missing and is written anew. Errors
    while writing end the writing of this process and nothing else.

    Args:
        folder (Path): Where the files lie, ``ab/cdef...`` for the key ``abcdef...``; made if needed.
        max_gib (float): The most that they may take on disk, in GiB, all processes together.
        warn (Callable): Is told, once, of each kind of trouble.
    """

    def __init__(self, folder: Path, max_gib: float, warn: Callable[[str], None]) -> None:
        self.folder, self.max_gib, self._warn = folder.absolute(), max_gib, warn
        self._quota = DiskQuota(self.folder, int(max_gib * 2**30))
        self._writes = True
        self._said: set[str] = set()
        self._damaged: set[str] = set()

    def read(self, key: str) -> tuple[dict, np.ndarray] | None:
        """Return what was written for a key, see :func:`read_entry`; None if that cannot be had."""
        path = self._path(key)
        try:
            return read_entry(path, key)
        except FileNotFoundError:
            return None
        except (OSError, DamagedEntryError) as error:
            self._damaged.add(key)
            self._warn_once(
                'damaged',
                f'{path} of the cache of frames cannot be used: {error}. Its video is '
                'decoded again, and the file replaced; further ones are not logged',
            )
            return None

    def write(self, key: str, info: dict, frames: np.ndarray) -> None:
        """Write an entry, if that is possible and there is room for it.

        Args:
            key (str): 64 hexadecimal digits.
            info (dict): As for :func:`pack_entry`.
            frames (np.ndarray): uint8, of any shape.
        """
        if not self._writes:
            return
        try:
            self._write(self._path(key), key in self._damaged, pack_entry(key, info, frames))
            self._damaged.discard(key)
        except FileNotFoundError:  # the next entry makes the folder again
            self._warn_once('deleted', f'the cache {self.folder} was deleted while it was written to')
        except OSError as error:
            self._writes = False
            self._warn_once(
                'off',
                f'the cache {self.folder} cannot be written: {error}. From now on this '
                'process only reads from it; videos that are not in it are decoded each time',
            )

    def _write(self, path: Path, replaces: bool, parts: list) -> None:
        old = path.stat().st_size if path.exists() else None
        if old is not None and not replaces:  # another process was quicker
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f'{path.name}.{uuid.uuid4().hex}{PARTIAL}')
        descriptor = self._quota.create(partial, sum(memoryview(part).nbytes for part in parts), old or 0)
        if descriptor is None:
            self._writes = False
            self._warn_once(
                'full',
                f'the cache {self.folder} has reached max_gib={self.max_gib}: videos '
                'that are not in it are decoded each time. Raise max_gib, or delete the folder '
                'if it holds videos or transforms of old',
            )
            return
        try:
            with open(descriptor, 'wb') as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.replace(partial, path)  # while it is locked: others remove what is partial and is not
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _warn_once(self, kind: str, message: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._warn(message)
