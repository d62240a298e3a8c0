"""Open a video with a backend by its name."""
from importlib.util import find_spec
from typing import Dict, Sequence, Type

from .base import VideoReader, VideoReadError, describe
from .decord_reader import DecordReader
from .opencv_reader import OpenCVReader
from .pyav_reader import PyAVReader

BACKENDS: Dict[str, Type[VideoReader]] = dict(decord=DecordReader, pyav=PyAVReader, opencv=OpenCVReader)
PACKAGES = dict(decord=('decord', 'decord'), pyav=('av', 'av'), opencv=('cv2', 'opencv-python'))


def check_backends(names: Sequence[str]) -> None:
    """Find out at construction whether some backends can be used.

    Raises:
        ValueError: If there are none, or one is unknown.
        ImportError: If a backend's package is missing; with the line that installs it.
    """
    if isinstance(names, str) or not names or not set(names) <= set(BACKENDS):
        raise ValueError(f'backends must be a list of one or more of {list(BACKENDS)}, got {names!r}')
    for name in names:
        module, package = PACKAGES[name]
        if find_spec(module) is None:
            raise ImportError(f'the backend {name!r} needs a package that is missing: pip install {package}')


def open_reader(backend: str, filename: str) -> VideoReader:
    """Open a video with the backend of this name.

    Raises:
        VideoReadError: If that fails in any way.
    """
    try:
        return BACKENDS[backend](filename)
    except VideoReadError:
        raise
    except Exception as error:  # decoders raise what they like
        raise VideoReadError(describe(error)) from error
