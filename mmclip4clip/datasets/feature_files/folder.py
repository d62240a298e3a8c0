"""A folder of shards of features, and how an extraction begins or goes on in one."""

from pathlib import Path
from typing import Any

from .settings import FILE, FeatureMismatchError, FeatureSettings, read_settings
from .shard import FeatureShard


def shard_path(folder: Path, number: int) -> Path:
    """Return the file of a shard.

    Examples:
        >>> shard_path(Path('features/test'), 3).name
        'shard-00003.safetensors'
    """
    return folder / f'shard-{number:05d}.safetensors'


def prepare_folder(folder: Path, settings: FeatureSettings, write: bool = True) -> list[int]:
    """Begin or go on with an extraction, and return the numbers of the shards that are still missing.

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
        others = sorted(path.name for path in folder.iterdir())[:3] if folder.is_dir() else []
        if others:
            raise FileExistsError(
                f'{folder} has other files, such as {", ".join(others)}: give another --out'
            )
        folder.mkdir(parents=True, exist_ok=True)
        settings.write(folder)
    return [n for n in range(settings.num_shards) if not shard_path(folder, n).is_file()]


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
        self.shards = [FeatureShard(path) for path in paths]
        self.infos: list[dict[str, Any]] = [info for shard in self.shards for info in shard.infos]
        if len(self.infos) != self.settings.num_videos:
            raise ValueError(
                f'{self.path} has {len(self.infos)} videos in its shards, but {self.settings.num_videos} in '
                f'{FILE}: its files are of different extractions'
            )

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
