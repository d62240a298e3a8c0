"""A folder of shards of features, and how an extraction begins or goes on in one."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from ...atomic_file import remove_unfinished
from ...file_lock import LockTakenError, release_lock, take_lock
from .settings import FILE, FeatureMismatchError, FeatureSettings, read_settings
from .shard import FeatureShard


def shard_path(folder: Path, number: int) -> Path:
    """Return the file of a shard.

    Examples:
        >>> shard_path(Path('features/test'), 3).name
        'shard-00003.safetensors'
    """
    return folder / f'shard-{number:05d}.safetensors'


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Let no other extraction write into a folder; the lock is a file beside it.

    Raises:
        RuntimeError: If another extraction writes there, in all processes of this one.
    """
    path = folder.parent.resolve() / f'.{folder.name}.lock'
    owner = ['']
    if is_main_process():
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            take_lock(path)
        except LockTakenError as error:
            owner = [str(error)]
    broadcast_object_list(owner)
    if owner[0]:
        raise RuntimeError(
            f'another extraction writes into {folder}: {owner[0]}. Wait until it ends, or give another --out'
        )
    try:
        yield
    finally:
        if is_main_process():
            release_lock(path)


def prepare_folder(folder: Path, settings: FeatureSettings, write: bool = True) -> list[int]:
    """Begin or go on with an extraction, and return the numbers of the shards that are missing or damaged.

    Args:
        folder (Path): The folder, created if needed.
        settings (FeatureSettings): Settings of this extraction.
        write (bool): Whether this process writes the settings.

    Raises:
        FeatureMismatchError: If the folder has features of other settings; names them.
        FileExistsError: If the folder has other files.
    """
    if (folder / FILE).is_file():
        lines = read_settings(folder).differences(settings)
        if lines:
            raise FeatureMismatchError(
                f'{folder} has features that were made with other settings (there -> here):\n  '
                + '\n  '.join(lines)
                + '\nGo on with the same settings, or give another --out'
            )
    elif write:
        remove_unfinished(folder)
        others = sorted(path.name for path in folder.iterdir())[:3] if folder.is_dir() else []
        if others:
            raise FileExistsError(
                f'{folder} has other files, such as {", ".join(others)}: give another --out'
            )
        folder.mkdir(parents=True, exist_ok=True)
        settings.write(folder)
    return [n for n in range(settings.num_shards) if not _is_complete(shard_path(folder, n), settings, n)]


def _is_complete(path: Path, settings: FeatureSettings, number: int) -> bool:
    if not path.is_file():
        return False
    try:
        _read_shard(path, settings, number)
    except ValueError as error:
        print_log(f'{error}: it is written again', logger='current', level=logging.WARNING)
        return False
    return True


def _read_shard(path: Path, settings: FeatureSettings, number: int) -> FeatureShard:
    """Open a shard.

    Raises:
        ValueError: If it is damaged, or not that of the settings.
    """
    shard = FeatureShard(path)
    expected = min(settings.shard_size, settings.num_videos - number * settings.shard_size)
    if len(shard.infos) != expected:
        raise ValueError(
            f'{path} has {len(shard.infos)} videos, but {expected} by {FILE}: they are of different runs'
        )
    lacking = sorted(set(settings.parts) - shard.parts)
    if lacking:
        raise ValueError(f'{path} lacks {", ".join(lacking)}, which {FILE} names: it is damaged')
    return shard


class FeatureFolder:
    """The features of a split, read video by video.

    Args:
        folder (str | Path): Folder that :class:`FeatureExtractionLoop` has filled.

    Raises:
        FileNotFoundError: If there are no features.
        ValueError: If shards are missing or damaged.

    Examples:
        >>> features = FeatureFolder('work_dirs/features/test')  # doctest: +SKIP
        >>> features.infos[0]['video_id'], features.frames(0).shape  # doctest: +SKIP
        ('video7010.mp4', torch.Size([12, 512]))
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder)
        self.settings = read_settings(self.path)
        paths = [shard_path(self.path, number) for number in range(self.settings.num_shards)]
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise ValueError(
                f'{self.path} is not complete: {len(missing)} of {len(paths)} shards are missing, the first '
                f'is {missing[0]}. Run tools/extract_features.py again, it goes on where it ended'
            )
        self.shards = [_read_shard(path, self.settings, number) for number, path in enumerate(paths)]
        self.infos: list[dict[str, Any]] = [info for shard in self.shards for info in shard.infos]

    def need(self, *parts: str) -> None:
        """Check that parts are stored.

        Raises:
            ValueError: If one is missing; says how to extract it.
        """
        missing = [part for part in parts if part not in self.settings.parts]
        if missing:
            raise ValueError(
                f'{self.path} has {", ".join(self.settings.parts)}, but no {", ".join(missing)}: extract '
                f'them into another folder with --parts {" ".join([*self.settings.parts, *missing])}'
            )

    def shard_of(self, video: int) -> tuple[FeatureShard, int]:
        """Return the shard of a video, and the number of the video in it."""
        number, place = divmod(video, self.settings.shard_size)
        return self.shards[number], place
