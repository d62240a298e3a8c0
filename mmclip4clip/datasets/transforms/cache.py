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
from ..frame_cache.entry import to_json
from ..video_readers import VideoReadError
from ..video_readers.storage import read_error

NUM_CHECKED = 8  # videos that each process decodes twice: a flip at random escapes 1 time in 256
# What transforms say of frames, mmaction2's and ours. Nothing else comes from a cache.
FRAME_KEYS = frozenset(
    (
        'avg_fps',
        'backend',
        'clamped_frames',
        'clip_len',
        'crop_bbox',
        'crop_quadruple',
        'flip',
        'flip_direction',
        'frame_inds',
        'frame_interval',
        'frame_times',
        'img_shape',
        'input_shape',
        'keep_ratio',
        'lazy',
        'num_clips',
        'num_crops',
        'original_shape',
        'reported_frames',
        'scale_factor',
        'start_index',
        'total_frames',
    )
)
ITEM_KEYS = frozenset(
    (
        'caption_mask',
        'caption_tokens',
        'captions',
        'data_samples',
        'end',
        'filename',
        'group',
        'group_key',
        'imgs',
        'start',
        'text_mask',
        'tokens',
        'video_id',
        'video_key',
    )
)
DECODERS = (
    'av',
    'decord',
    'eva-decord',
    'opencv-python',
    'opencv-contrib-python',
    'opencv-python-headless',
    'pillow',
    'mmcv',
    'mmcv-lite',
    'mmaction2',
)
_WARNED: set[Path] = set()  # folders with a cache of old, of which this process has told


@TRANSFORMS.register_module()
class CacheFrames(BaseTransform):
    """Decode each video once, and read its frames from disk from then on.

    Wraps the transforms from opening a video to its last resizing, or to
    ``FormatShape``; what is random comes after it. Frames lie in files with
    checksums (:class:`FrameStore`), which any number of workers and processes may
    share. A changed file, window or transform, or another version of this package
    or of what decodes and resizes has another key, so that nothing outdated is
    read; a file that is replaced in place by one of equal size and time is not
    noticed. A damaged entry counts as missing. When the size limit is reached,
    nothing is thrown away, since in an epoch all videos are as old: videos that
    do not fit are decoded each time, and a warning says so. So it is where the
    disk is full or cannot be written.

    Required Keys:

    - filename (str)
    - start, end (float, seconds, optional)
    - what the first transform requires

    Added Keys:

    - imgs: as the transforms leave them, T frames uint8, a list of (H, W, 3) or one array
    - of the other keys that the transforms add or change, those of ``FRAME_KEYS`` and ``keys``. All
      others, captions and names above all, are as they were before, also when the video is decoded

    Args:
        transforms (list[dict]): Configs of transforms, without anything random.
        folder (str): Folder of the cache; made if needed.
        max_gib (float): The most that the cache may take on disk, in GiB, by all
            processes together.
        keys (Sequence[str]): Further keys that say something of the frames, by
            transforms of your own: plain values, tuples or numeric arrays.

    Raises:
        ValueError: If ``max_gib`` is not positive, or ``keys`` has a key of the item, not of
            its frames.
    """

    def __init__(
        self, transforms: list[dict], folder: str, max_gib: float = 50.0, keys: Sequence[str] = ()
    ) -> None:
        if not max_gib > 0:
            raise ValueError(f'max_gib must be positive, got {max_gib}')
        if isinstance(keys, str) or ITEM_KEYS & set(keys):
            raise ValueError(
                f'keys must be a list of what transforms say of frames, without {ITEM_KEYS}; got {keys!r}'
            )
        self.transforms = Compose(transforms)
        self.configs = json.dumps(transforms, sort_keys=True, default=str)
        self.folder, self.max_gib, self.keys = Path(folder), max_gib, FRAME_KEYS | set(keys)
        self._store = FrameStore(self.folder, max_gib, log_warning)
        self._unchecked, self._left_out = NUM_CHECKED, False
        warn_about_lmdb(self.folder)

    def transform(self, results: dict) -> dict | None:
        """Read the video's frames, or decode and keep them.

        Raises:
            ValueError: If the transforms give other frames each time, or other than uint8.
            VideoReadError: If the file cannot be looked at; and what the transforms raise.
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
        """Return 64 digits that change with the file, the window, the transforms and what decodes."""
        try:
            stat = os.stat(results['filename'])
        except OSError as error:
            kind = type(read_error(error))  # whether it is the storage's fault or the file's
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
                f'{results["filename"]}: the transforms of CacheFrames give other frames each '
                'time; what is random must come after it, and sampling must not be random'
            )

    def _frame_keys(self, before: dict, results: dict) -> dict:
        """Select what the transforms said of the frames, and name, once, what else they said."""
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
                f'the transforms of CacheFrames also add or change {", ".join(others)}, which a cache of '
                'frames does not give: it stays as it was before. Do that after CacheFrames, or name in its '
                'argument keys what says something of the frames alone'
            )
        return added

    def _keep(self, key: str, before: dict, added: dict, imgs: Sequence) -> None:
        if len({np.shape(img) for img in imgs}) > 1:  # no resizing, and a video whose size changes
            return
        frames = np.asarray(imgs)
        if frames.dtype != np.uint8:
            raise ValueError(
                f'CacheFrames keeps uint8 frames, its transforms give {frames.dtype}: leave '
                'normalizing to the model'
            )
        try:
            unchanged = self._key(before) == key
        except VideoReadError:
            return
        if unchanged:  # else it may have been decoded while it was being written
            self._store.write(key, {**added, 'as list': isinstance(imgs, list)}, frames)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({self.transforms!r}, folder={str(self.folder)!r}, max_gib={self.max_gib})'
        )


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of what decodes and resizes, as far as it is installed."""
    found = {}
    for name in DECODERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def is_storable(value: object) -> bool:
    """Tell whether an entry has a form for a value."""
    try:
        to_json(value)
        return True
    except TypeError:
        return False


def warn_about_lmdb(folder: Path) -> None:
    """Say, once, that a cache of an earlier version lies in a folder and can be deleted."""
    if folder not in _WARNED and (folder / 'data.mdb').is_file():
        _WARNED.add(folder)
        log_warning(
            f'{folder / "data.mdb"} and lock.mdb beside it are a cache of an earlier version, which is no '
            'longer read, nor counted for max_gib: they can be deleted'
        )


def log_warning(message: str) -> None:
    """Write a warning to the log."""
    print_log(message, logger='current', level=logging.WARNING)
