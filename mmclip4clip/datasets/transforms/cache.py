import functools
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from mmengine.logging import print_log

from ...version import __version__
from ..frame_cache import FrameStore
from ..video_readers import VideoReadError
from ..video_readers.storage_errors import read_error
from .frame_keys import FRAME_KEYS, ITEM_KEYS, is_storable

NUM_CHECKED = 8  # videos that each process decodes twice; a random flip passes unnoticed 1 time in 256
DECODERS = (
    'av',
    'decord',
    'decord2',
    'eva-decord',
    'torchcodec',
    'opencv-python',
    'opencv-contrib-python',
    'opencv-python-headless',
    'pillow',
    'mmcv',
    'mmcv-lite',
    'mmaction2',
)
_WARNED: set[Path] = set()  # folders with an old cache that this process has already reported


@TRANSFORMS.register_module()
class CacheFrames(BaseTransform):
    """Decode each video once and read its frames from disk afterwards.

    Wraps the transforms from opening a video to the last resize, or to ``FormatShape``. Random transforms
    come after it. Frames are stored in files with checksums (:class:`FrameStore`), which any number of
    workers and processes may share.

    The key of an entry covers the file, the window, the transforms and the versions of this package and of
    the decoders. A change to any of them gives a new key, so outdated frames are never read. One case is not
    detected: a file overwritten with one of equal size and time. A damaged entry counts as missing.

    When the cache reaches its size limit, it evicts nothing, because an epoch uses every video equally often.
    Videos that do not fit are decoded each time, and a warning says so. The same happens if the disk is full
    or read-only.

    Required Keys:

    - filename (str)
    - start, end (float, seconds, optional)
    - what the first transform requires

    Added Keys:

    - imgs: T uint8 frames as the transforms return them, a list of (H, W, 3) or one array
    - the keys in ``FRAME_KEYS`` and ``keys`` that the transforms add or change. All other keys, such as
      captions and names, keep their values, even when the video is decoded

    Args:
        transforms (list[dict]): Configs of deterministic transforms.
        folder (str): Cache folder, created if needed.
        max_gib (float): Maximum size of the cache on disk in GiB, over all processes.
        keys (Sequence[str]): Additional keys that describe the frames, added by custom transforms. Their
            values are plain values, tuples or numeric arrays.

    Raises:
        ValueError: If ``max_gib`` is not positive, or ``keys`` contains a key that describes the item and not
            its frames.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmclip4clip.datasets import CacheFrames
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8))
        ...     sampling = dict(type='mmaction.SampleEvenly', num_frames=2)
        ...     decode = dict(type='mmaction.DecodeVideo', sampling=sampling)
        ...     cache = CacheFrames([decode], folder=f'{folder}/cache')
        ...     results = [cache(dict(filename=f'{folder}/v.mp4')) for _ in range(2)]  # decoded, then read
        >>> [(len(result['imgs']), result['imgs'][0].shape) for result in results]
        [(2, (48, 64, 3)), (2, (48, 64, 3))]
    """

    def __init__(
        self, transforms: list[dict], folder: str, max_gib: float = 50.0, keys: Sequence[str] = ()
    ) -> None:
        if not max_gib > 0:
            raise ValueError(f'max_gib must be positive, got {max_gib}')
        if isinstance(keys, str) or ITEM_KEYS & set(keys):
            raise ValueError(
                f'keys must be a list of keys that describe frames, without {ITEM_KEYS}; got {keys!r}'
            )
        self.transforms = Compose(transforms)
        self.configs = json.dumps(transforms, sort_keys=True, default=str)
        self.folder, self.max_gib, self.keys = Path(folder), max_gib, FRAME_KEYS | set(keys)
        self._store = FrameStore(self.folder, max_gib, log_warning)
        self._unchecked, self._left_out = NUM_CHECKED, False
        warn_about_lmdb(self.folder)

    def transform(self, results: dict) -> dict | None:
        """Read a video's frames from the cache, or decode and store them.

        Raises:
            ValueError: If the transforms return different frames each time, or frames that are not uint8.
            VideoReadError: If the file cannot be accessed. Errors of the transforms pass through.
        """
        key = self._key(results)
        found = self._store.read(key)
        if found is not None:
            info, imgs = found
            as_list = info.pop('as list', False)
            added = {name: value for name, value in info.items() if name in self.keys}
            return dict(results, **added, imgs=list(imgs) if as_list else imgs)
        before = dict(results)
        results = self.transforms(results)
        if results is None:
            return None
        self._check_repeats(before, results)
        added = self._frame_keys(before, results)
        self._keep(key, before, added, results['imgs'])
        return dict(before, **added, imgs=results['imgs'])

    def _key(self, results: dict) -> str:
        """Hash the file, the window, the transforms and the decoder versions into 64 hexadecimal digits."""
        try:
            stat = os.stat(results['filename'])
        except OSError as error:
            kind = type(read_error(error))  # of the storage or of the file
            raise kind(f'{results["filename"]} cannot be read; {error.strerror}') from error
        given = sorted((name, repr(results[name])) for name in results.keys() & (self.keys | {'modality'}))
        parts = (
            os.path.abspath(results['filename']),
            stat.st_size,
            stat.st_mtime_ns,
            stat.st_ino,
            results.get('start'),
            results.get('end'),
            given,
            self.configs,
            __version__,
            versions(),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _check_repeats(self, before: dict, results: dict) -> None:
        if not self._unchecked:
            return
        self._unchecked -= 1
        again = self.transforms(dict(before))
        if len(results['imgs']) != len(again['imgs']) or not all(
            map(np.array_equal, results['imgs'], again['imgs'])
        ):
            raise ValueError(
                f'{results["filename"]}: the transforms of CacheFrames return different frames each '
                'time; move random transforms after it and use deterministic sampling'
            )

    def _frame_keys(self, before: dict, results: dict) -> dict:
        """Select the added keys that describe frames, and log a warning once about the others."""
        changed = {
            name: value
            for name, value in results.items()
            if name != 'imgs' and (name not in before or value is not before[name])
        }
        added = {name: value for name, value in changed.items() if name in self.keys and is_storable(value)}
        others = sorted(name for name in changed.keys() - added.keys() if changed[name] is not None)
        if others and not self._left_out:
            self._left_out = True
            log_warning(
                f'the transforms of CacheFrames also add or change {", ".join(others)}, which are not '
                'cached and keep their previous values. Move these transforms after CacheFrames, or list the '
                'keys in its argument keys if they describe the frames alone'
            )
        return added

    def _keep(self, key: str, before: dict, added: dict, imgs: Sequence) -> None:
        if len({np.shape(img) for img in imgs}) > 1:  # no resize, and the frame size changes within the video
            return
        frames = np.asarray(imgs)
        if frames.dtype != np.uint8:
            raise ValueError(
                f'CacheFrames expects uint8 frames, its transforms return {frames.dtype}: leave '
                'normalization to the model'
            )
        try:
            unchanged = self._key(before) == key
        except VideoReadError:
            return
        if unchanged:  # otherwise the file may have changed while it was decoded
            self._store.write(key, {**added, 'as list': isinstance(imgs, list)}, frames)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({self.transforms!r}, folder={str(self.folder)!r}, max_gib={self.max_gib})'
        )


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of the installed packages that decode and resize."""
    found = {}
    for name in DECODERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def warn_about_lmdb(folder: Path) -> None:
    """Warn once if a folder contains a cache of an earlier version, which can be deleted."""
    if folder not in _WARNED and (folder / 'data.mdb').is_file():
        _WARNED.add(folder)
        log_warning(
            f'{folder / "data.mdb"} and lock.mdb are a cache of an earlier version, which is no '
            'longer read and does not count towards max_gib: they can be deleted'
        )


def log_warning(message: str) -> None:
    """Log a warning."""
    print_log(message, logger='current', level=logging.WARNING)
