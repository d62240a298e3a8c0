"""Names of videos in annotations, their files, and keys that identify a video."""

import os.path as osp
from collections.abc import Iterable

# In order of preference if a video has several files; the rare ones occur in DiDeMo.
ENDINGS = (
    '.mp4',
    '.avi',
    '.mkv',
    '.webm',
    '.mov',
    '.m4v',
    '.mpg',
    '.mpeg',
    '.wmv',
    '.asf',
    '.divx',
    '.qt',
    '.3gp',
    '.3gpp',
    '.3g2',
    '.mts',
    '.m2ts',
    '.ts',
    '.flv',
)


def is_video(name: str, endings: Iterable[str] = ENDINGS) -> bool:
    """Return whether a name has one of the endings, in upper or lower case."""
    return name.lower().endswith(tuple(ending.lower() for ending in endings))


def stem_of(name: str) -> str:
    """Strip the video endings from a name, and nothing else after a dot.

    ``clip.mov.mp4`` (a copy converted to MP4) becomes ``clip``, and LSMDC's
    ``0001_Movie_00.00.51.926-00.00.54.129`` does not change.
    """
    while True:
        root, ending = osp.splitext(name)
        if ending != '.' and ending.lower() not in ENDINGS:  # some names in DiDeMo end with a dot
            return name
        name = root


def add_ending(name: str, folder: str, only_dotted: bool = False) -> str:
    """Append ``.mp4`` to a name that has no video ending and is not the name of a file.

    Args:
        name (str): Name in the annotations, such as ``video0``, ``video0.avi`` or LSMDC's
            ``0001_Movie_00.00.51.926-00.00.54.129``.
        folder (str): The folder of the videos.
        only_dotted (bool): Whether a name without a dot always gets ``.mp4``, even if there is a file of that
            name, as in mmaction2's ``DecordInit``.

    Returns:
        str: Name of the file in the folder.
    """
    ending = osp.splitext(name)[1]
    if ending.lower() in ENDINGS:
        return name
    if not (only_dotted and not ending) and osp.isfile(osp.join(folder, name)):
        return name
    return f'{name}.mp4'


class VideoKeys:
    """Create keys that identify videos across datasets.

    A video is one window of one file. A file can have several names: through the folder of another dataset,
    a relative path or a link. Two datasets can use one name for different files.

    Examples:
        >>> from mmclip4clip.datasets.video_names import VideoKeys
        >>> VideoKeys()('/data/../data/v.mp4', start=1, end=2.5)
        '/data/v.mp4#t=1.0,2.5'
    """

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, filename: str, start: float | None = None, end: float | None = None) -> str:
        """Create the key of a video.

        Args:
            filename (str): The file.
            start (float, optional): Start in seconds; None is 0.
            end (float, optional): End in seconds; None is the end of the file.

        Returns:
            str: The absolute path without links. A window adds ``#t=START,END``, as in a media fragment URI.
        """
        path = self._real_path(filename)
        start = float(start or 0)
        if end is None:
            return path if start == 0 else f'{path}#t={start!r},'
        return f'{path}#t={start!r},{float(end)!r}'

    def _real_path(self, filename: str) -> str:
        """Resolve links, once per folder."""
        folder, name = osp.split(filename)
        if folder not in self._folders:
            self._folders[folder] = osp.realpath(folder)
        path = osp.join(self._folders[folder], name)
        return osp.realpath(path) if osp.islink(path) else path
