import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ...datasets.video_names import ENDINGS, is_video, stem_of


def files_below(folder: Path) -> Iterator[str]:
    """Yield the relative paths of all files in a folder and its subfolders, and follow links."""
    for root, _, files in os.walk(folder, followlinks=True):
        for file in files:
            yield (Path(root) / file).relative_to(folder).as_posix()


class VideoFolder:
    """Find video files by name, with any suffix and in any subfolder.

    Args:
        folder (Path): Folder, which is searched once.

    Attributes:
        videos (list[str]): Sorted paths of all files with the suffix of a video.

    Raises:
        FileNotFoundError: If the folder does not exist.
        NotADirectoryError: If it is a file.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, 'part1').mkdir()
        ...     Path(folder, 'part1', 'video0.avi').touch()
        ...     VideoFolder(Path(folder)).find('video0')
        ['part1/video0.avi']
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            if folder.exists():
                raise NotADirectoryError(f'the folder of the videos, {folder}, is a file')
            raise FileNotFoundError(f'the folder of the videos, {folder}, does not exist')
        self._files = set(files_below(folder))
        self.videos = sorted(path for path in self._files if is_video(path))
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in self.videos:
            for stem in {stem_of(path), stem_of(os.path.basename(path))}:
                self._by_stem[stem].append(path)

    def find(self, name: str) -> list[str]:
        """Find the files of a video.

        Args:
            name (str): Name with or without suffix. If it contains a folder, only this folder is searched.

        Returns:
            list[str]: Paths relative to the folder: the file with exactly this name first, then in the order
            of :data:`ENDINGS`. Empty if there are none.
        """
        if os.path.splitext(name)[1] and name in self._files:
            return [name]
        found = self._by_stem.get(stem_of(name), [])
        return sorted(
            found,
            key=lambda path: (
                os.path.basename(path) != name,
                ENDINGS.index(os.path.splitext(path)[1].lower()),
                path,
            ),
        )
