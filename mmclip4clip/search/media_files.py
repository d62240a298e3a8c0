"""Which words of a query are files: images and videos by their ending, and whether they exist."""

from collections.abc import Callable
from pathlib import Path

from ..datasets.video_names import is_video

IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.gif', '.tif', '.tiff', '.ppm')


def is_image(name: str) -> bool:
    """Return whether a name has the ending of an image, in upper or lower case."""
    return name.lower().endswith(IMAGE_ENDINGS)


def is_media(name: str) -> bool:
    """Return whether a name has the ending of an image or a video, also before a time range."""
    return any(is_image(part) or is_video(part) for part in (name, name.rpartition('@')[0]))


def is_file(name: str) -> bool:
    """Return whether this is the name of a file, ``~`` of the home folder included."""
    return _has_type(name, Path.is_file)


def is_folder(name: str) -> bool:
    """Return whether this is the name of a folder, ``~`` of the home folder included."""
    return _has_type(name, Path.is_dir)


def _has_type(name: str, check: Callable[[Path], bool]) -> bool:
    try:
        return check(Path(name).expanduser())
    except (OSError, ValueError, RuntimeError):  # too long for a name, a NUL character, or ~ of nobody
        return False
