"""Names of the folders of an index that do not tell where it is on the machine."""

import os
from collections.abc import Iterable

from ...datasets.remote_files import is_url


class FolderNames:
    """Names folders from the deepest folder that has all of them; those of URLs have their address as name.

    Args:
        folders (Iterable[str]): Absolute paths, and URLs.

    Attributes:
        names (list[str]): Of these folders and those above them, sorted.

    Examples:
        >>> folders = FolderNames(['/home/me/videos/2024', '/home/me/videos/new/trip'])
        >>> folders.names
        ['videos', 'videos/2024', 'videos/new', 'videos/new/trip']
        >>> folders.path_of('videos/new'), folders.name_of('/home/me/videos')
        ('/home/me/videos/new', 'videos')
    """

    def __init__(self, folders: Iterable[str]) -> None:
        known = set(folders)
        paths = set(filter(is_url, known))
        local = known - paths
        self._root = os.path.commonpath(local) if local else '/'
        for folder in local:
            while folder not in paths and len(folder) >= len(self._root):
                paths.add(folder)
                folder = os.path.dirname(folder)
        self._paths = {self.name_of(path): path for path in paths}
        self.names = sorted(name for name in self._paths if name)

    def name_of(self, folder: str) -> str:
        """Return the name of a folder."""
        if is_url(folder):
            return folder
        above = os.path.dirname(self._root)
        return os.path.relpath(folder, above) if folder.startswith(self._root) else os.path.basename(folder)

    def path_of(self, name: str) -> str | None:
        """Return the path of a named folder; None if there is none of that name."""
        return self._paths.get(name)
