import os
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .entry import DamagedEntryError, pack_entry, read_entry
from .quota import PARTIAL, DiskQuota


class FrameStore:
    """Store frames on disk, one file per entry, shared by any number of processes.

    An entry is written under a temporary name and renamed, so it is complete or absent, and it is verified
    when it is read. A damaged entry counts as missing and is written again. After a write error, this process
    stops writing and continues to read.

    Args:
        folder (Path): The folder, created if needed. The key ``abcdef...`` has the file ``ab/cdef...``.
        max_gib (float): Maximum size on disk in GiB, over all processes.
        warn (Callable): Function that receives a warning, once per kind of problem.

    Examples:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from mmclip4clip.datasets.frame_cache import FrameStore
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = FrameStore(pathlib.Path(folder), max_gib=1, warn=print)
        ...     store.write('ab' * 32, dict(fps=25.0), np.zeros((2, 4, 4, 3), np.uint8))
        ...     info, frames = store.read('ab' * 32)
        >>> info, frames.shape
        ({'fps': 25.0}, (2, 4, 4, 3))
    """

    def __init__(self, folder: Path, max_gib: float, warn: Callable[[str], None]) -> None:
        self.folder, self.max_gib, self._warn = folder.absolute(), max_gib, warn
        self._quota = DiskQuota(self.folder, int(max_gib * 2**30))
        self._writes = True
        self._said: set[str] = set()
        self._damaged: set[str] = set()

    def read(self, key: str) -> tuple[dict, np.ndarray] | None:
        """Return the entry of a key, see :func:`read_entry`; None if it is missing or damaged."""
        path = self._path(key)
        try:
            return read_entry(path, key)
        except FileNotFoundError:
            return None
        except (OSError, DamagedEntryError) as error:
            self._damaged.add(key)
            self._warn_once(
                'damaged',
                f'{path} of the frame cache cannot be used: {error}. Its video is '
                'decoded again and the file replaced; further damaged files are not logged',
            )
            return None

    def write(self, key: str, info: dict, frames: np.ndarray) -> None:
        """Write an entry, if the folder is writable and the quota allows it.

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
        except FileNotFoundError:  # the next entry creates the folder again
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
        if old is not None and not replaces:  # another process was faster
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
                'if it contains outdated entries',
            )
            return
        try:
            with open(descriptor, 'wb') as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.replace(partial, path)  # while locked, because others remove unlocked partial files
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _warn_once(self, kind: str, message: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._warn(message)
