import hashlib
import json
import os
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from mmengine.logging import print_log

from ...version import __version__
from ..video_readers import VideoReadError

try:
    import lmdb
except ImportError:
    lmdb = None

CHECKED = 8  # videos that each process decodes twice: a flip at random escapes 1 time in 256
_OPEN: Dict[Path, 'lmdb.Environment'] = {}  # of this process


def _close() -> None:
    """Close all caches; each is opened again when it is needed."""
    while _OPEN:
        _OPEN.popitem()[1].close()


os.register_at_fork(before=_close)  # LMDB's handles must not be carried into another process


@TRANSFORMS.register_module()
class CacheFrames(BaseTransform):
    """Decode each video once, and read its frames from disk from then on.

    Wraps the transforms from opening a video to its last resizing, or to
    ``FormatShape``; what is random comes after it. Frames lie in an LMDB
    environment, which any number of workers and processes may share. A changed
    file, window, transform or version of this package has another key, so that
    nothing outdated is read. When the size limit is reached, nothing is thrown
    away, since in an epoch all videos are as old: videos that do not fit are
    decoded each time, and a warning says so.

    Required Keys:

    - filename (str)
    - start, end (float, seconds, optional)
    - what the first transform requires

    Added Keys:

    - imgs: as the transforms leave them, T frames uint8, a list of (H, W, 3) or one array
    - every other key that the transforms add, if JSON has a form for it

    Args:
        transforms (list[dict]): Configs of transforms, without anything random.
        folder (str): Folder of the cache; made if needed.
        max_gib (float): The most that the cache may take on disk, in GiB.

    Raises:
        ImportError: If ``lmdb`` is not installed.
        ValueError: If ``max_gib`` is not positive. All transforms of one process that
            share a folder must agree on it.
    """

    def __init__(self, transforms: List[dict], folder: str, max_gib: float = 50.) -> None:
        if lmdb is None:
            raise ImportError('CacheFrames needs lmdb: pip install "mmclip4clip[cache]"')
        if not max_gib > 0:
            raise ValueError(f'max_gib must be positive, got {max_gib}')
        self.transforms = Compose(transforms)
        self.configs = json.dumps(transforms, sort_keys=True, default=str)
        self.folder, self.max_gib = Path(folder), max_gib
        self._unchecked, self._full = CHECKED, False

    def transform(self, results: dict) -> Optional[dict]:
        """Read the video's frames, or decode and keep them.

        Raises:
            ValueError: If the transforms give other frames each time, or other than uint8.
            VideoReadError: If there is no such file; and what the transforms raise.
        """
        key = self._key(results)
        with self._begin(buffers=True) as transaction:
            info, imgs = transaction.get(key + b'.json'), transaction.get(key + b'.rgb')
            if info is not None and imgs is not None:
                results.update(json.loads(bytes(info)))
                shape, as_list = results.pop('cached')
                imgs = np.frombuffer(imgs, np.uint8).reshape(shape).copy()
                results['imgs'] = list(imgs) if as_list else imgs
                return results
        before = dict(results)
        results = self.transforms(results)
        if results is None:
            return None
        self._check_repeats(before, results)
        self._keep(key, {k: v for k, v in results.items() if k not in before or v is not before[k]})
        return results

    def _key(self, results: dict) -> bytes:
        """Return 64 bytes that change with the file, the window and the transforms."""
        try:
            stat = os.stat(results['filename'])
        except OSError as error:
            raise VideoReadError(f"{results['filename']} cannot be read; {error.strerror}") from error
        parts = (os.path.abspath(results['filename']), stat.st_size, stat.st_mtime_ns, results.get('start'),
                 results.get('end'), self.configs, __version__)
        return hashlib.sha256(repr(parts).encode()).hexdigest().encode()

    def _check_repeats(self, before: dict, results: dict) -> None:
        if not self._unchecked:
            return
        self._unchecked -= 1
        again = self.transforms(before)
        if not np.array_equal(np.stack(results['imgs']), np.stack(again['imgs'])):
            raise ValueError(f"{results['filename']}: the transforms of CacheFrames give other frames each "
                             'time; what is random must come after it, and sampling must not be random')

    def _keep(self, key: bytes, added: dict) -> None:
        if self._full:
            return
        imgs = added.pop('imgs')
        added['cached'] = np.shape(imgs), isinstance(imgs, list)
        imgs = np.ascontiguousarray(imgs)
        if imgs.dtype != np.uint8:
            raise ValueError(f'CacheFrames keeps uint8 frames, its transforms give {imgs.dtype}: leave '
                             'normalising to the model')
        try:
            with self._begin(write=True) as transaction:
                transaction.put(key + b'.rgb', imgs.data)
                transaction.put(key + b'.json', json.dumps(_plain(added)).encode())
        except lmdb.MapFullError:
            self._full = True
            print_log(f'the cache {self.folder} has reached max_gib={self.max_gib}: videos that are not in '
                      'it are decoded each time. Raise max_gib, or delete the folder if it holds videos or '
                      'transforms of old', logger='current', level=30)

    def _begin(self, **how: bool) -> 'lmdb.Transaction':
        """Begin to read or write, also where a process with a larger limit has made the cache grow."""
        try:
            return self._environment().begin(**how)
        except lmdb.MapResizedError:
            self._environment().set_mapsize(0)  # as large as it is now
            return self._environment().begin(**how)

    def _environment(self) -> 'lmdb.Environment':
        """Open the cache, once a process as LMDB demands; transforms that share it share the handle."""
        folder = self.folder.absolute()
        if folder not in _OPEN:
            folder.mkdir(parents=True, exist_ok=True)
            _OPEN[folder] = lmdb.open(str(folder), map_size=int(self.max_gib * 2**30), max_readers=1024,
                                      metasync=False, readahead=False, meminit=False)
        return _OPEN[folder]

    def __repr__(self) -> str:
        return (f'{type(self).__name__}({self.transforms!r}, folder={str(self.folder)!r}, '
                f'max_gib={self.max_gib})')


def _plain(added: dict) -> dict:
    """Keep what JSON can hold, arrays of frame indices as lists."""
    plain = {}
    for key, value in added.items():
        value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        try:
            json.dumps(value)
        except TypeError:
            continue
        plain[key] = value
    return plain
