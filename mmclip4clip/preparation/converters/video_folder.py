import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ...datasets.video_names import ENDINGS, is_video, stem_of


def files_below(folder: Path) -> Iterator[str]:
    """Yield the paths of all files below a folder, relative to it, through links too."""
    for root, _, files in os.walk(folder, followlinks=True):
        for file in files:
            yield (Path(root) / file).relative_to(folder).as_posix()


class VideoFolder:
    """Look up video files by name, with any ending and in any folder below.

    Args:
        folder (Path): Searched once.

    Attributes:
        videos (list[str]): Paths of all files with a video's ending, sorted.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
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
        """Find the files of one video.

        Args:
            name (str): With or without ending; with folders, if it is to be sought
                in those only.

        Returns:
            list[str]: Paths relative to the folder, the file of exactly that name
            first, then by :data:`ENDINGS`. Empty if there is none.
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
