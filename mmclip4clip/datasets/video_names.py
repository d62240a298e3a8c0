"""What a video is called in annotations, which file that is, and which two are one video."""

import os.path as osp
from collections.abc import Iterable

# In order of preference where a video is there twice; the later ones occur in DiDeMo.
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
    """Tell whether a name ends with one of these, in upper or lower case."""
    return name.lower().endswith(tuple(ending.lower() for ending in endings))


def stem_of(name: str) -> str:
    """Strip a video's endings, and nothing else after a dot.

    ``clip.mov.mp4`` (a copy converted to MP4) is ``clip``, and LSMDC's
    ``0001_Movie_00.00.51.926-00.00.54.129`` stays whole.
    """
    while True:
        root, ending = osp.splitext(name)
        if ending != '.' and ending.lower() not in ENDINGS:  # DiDeMo has names that end with a dot
            return name
        name = root


def add_ending(name: str, folder: str, only_dotted: bool = False) -> str:
    """Give a name its ``.mp4``, if it has no ending of a video and is not the name of a file.

    Args:
        name (str): As in the annotations, such as ``video0``, ``video0.avi`` or LSMDC's
            ``0001_Movie_00.00.51.926-00.00.54.129``.
        folder (str): The folder of the videos.
        only_dotted (bool): Whether a name without any dot gets ``.mp4`` whether or not there is a
            file of that name, as mmaction2's ``DecordInit`` reads it.

    Returns:
        str: The name of the file, in the folder.
    """
    ending = osp.splitext(name)[1]
    if ending.lower() in ENDINGS:
        return name
    if not (only_dotted and not ending) and osp.isfile(osp.join(folder, name)):
        return name
    return f'{name}.mp4'


class VideoKeys:
    """Make keys that tell videos apart, whatever dataset they are in.

    A video is what has one file and one window of it. A file may be reached by another name, through another
    dataset's folder, a relative path or a link. Two datasets may call different files by one name.
    """

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, filename: str, start: float | None = None, end: float | None = None) -> str:
        """Make the key of a video.

        Args:
            filename (str): The file.
            start (float, optional): Seconds; None is 0.
            end (float, optional): Seconds; None is the end of the file.

        Returns:
            str: The absolute path without links, and ``#t=START,END`` of a part, as in a media fragment.
        """
        path = self._real_path(filename)
        start = float(start or 0)
        if end is None:
            return path if start == 0 else f'{path}#t={start!r},'
        return f'{path}#t={start!r},{float(end)!r}'

    def _real_path(self, filename: str) -> str:
        """Follow links, those of a folder once for all its files."""
        folder, name = osp.split(filename)
        if folder not in self._folders:
            self._folders[folder] = osp.realpath(folder)
        path = osp.join(self._folders[folder], name)
        return osp.realpath(path) if osp.islink(path) else path
