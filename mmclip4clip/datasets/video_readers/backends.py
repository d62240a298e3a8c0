"""Open a video with a named backend."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from .decord_reader import DecordReader
from .opencv_reader import OpenCVReader
from .pyav_reader import PyAVReader
from .reader import VideoReader
from .storage_errors import diagnose_error

BACKENDS: dict[str, Callable[[str], VideoReader]] = dict(
    decord=DecordReader, pyav=PyAVReader, opencv=OpenCVReader
)
PACKAGES = dict(decord=('decord', 'decord'), pyav=('av', 'av'), opencv=('cv2', 'opencv-python'))


def check_backends(names: Sequence[str]) -> None:
    """Check that backends are known and installed.

    Raises:
        ValueError: If the list is empty or a backend is unknown.
        ImportError: If the package of a backend is missing. The message has the command to install it.

    Examples:
        >>> check_backends(['pyav', 'opencv'])
    """
    if isinstance(names, str) or not names or not set(names) <= set(BACKENDS):
        raise ValueError(f'backends must be a list of one or more of {list(BACKENDS)}, got {names!r}')
    for name in names:
        module, package = PACKAGES[name]
        if find_spec(module) is None:
            raise ImportError(f'the backend {name!r} needs a package that is missing: pip install {package}')


def open_reader(backend: str, filename: str, max_bytes: int | None = None) -> VideoReader:
    """Open a video with the given backend.

    Args:
        backend (str): One of ``BACKENDS``.
        filename (str): The video.
        max_bytes (int, optional): Maximum size in bytes of the frames of one read.

    Raises:
        VideoUnavailableError: If the storage does not return the file now.
        VideoReadError: If opening fails in any other way.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8))
        ...     with open_reader('pyav', f'{folder}/v.mp4') as reader:
        ...         print(reader.num_frames)
        8
    """
    try:
        reader = BACKENDS[backend](filename)
    except Exception as error:  # decoders raise any exception
        raise diagnose_error(error, filename) from error
    reader.filename, reader.max_bytes = filename, max_bytes
    return reader
