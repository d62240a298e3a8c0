"""Open a video with a named backend."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec

from .decord_reader import DecordReader
from .libraries import PACKAGES, import_torchcodec, missing_package
from .opencv_reader import OpenCVReader
from .pyav_reader import PyAVReader
from .reader import VideoReader
from .storage_errors import diagnose_error
from .torchcodec_reader import TorchCodecReader

BACKENDS: dict[str, Callable[[str], VideoReader]] = dict(
    decord=DecordReader, pyav=PyAVReader, opencv=OpenCVReader, torchcodec=TorchCodecReader
)


def check_backends(names: Sequence[str]) -> None:
    """Check that backends are known and installed.

    Only torchcodec is imported, because its package alone cannot tell whether it can decode videos.

    Raises:
        ValueError: If the list is empty or a backend is unknown.
        ImportError: If the library of a backend is missing, or torchcodec cannot be loaded. The message has
            the command to install it.

    Examples:
        >>> check_backends(['pyav', 'opencv'])
    """
    if isinstance(names, str) or not names or not set(names) <= set(BACKENDS):
        raise ValueError(f'backends must be a list of one or more of {list(BACKENDS)}, got {names!r}')
    for name in names:
        if find_spec(PACKAGES[name][0]) is None:
            raise missing_package(name)
        if name == 'torchcodec':
            import_torchcodec()


def installed_backends() -> list[str]:
    """Return the backends that can be used here, PyAV first."""
    found = []
    for name in sorted(BACKENDS, key=lambda name: name != 'pyav'):
        with suppress(ImportError):
            check_backends([name])
            found.append(name)
    return found


def default_backends() -> tuple[str, ...]:
    """Return the backends that :class:`DecodeVideo` tries by default, in this order."""
    return ('pyav', 'decord', 'opencv') if find_spec('decord') is not None else ('pyav', 'opencv')


def open_reader(backend: str, filename: str, max_bytes: int | None = None) -> VideoReader:
    """Open a video with the given backend.

    Args:
        backend (str): One of ``BACKENDS``.
        filename (str): The video.
        max_bytes (int, optional): Maximum size in bytes of the frames of one read.

    Raises:
        VideoUnavailableError: If the storage does not return the file now.
        VideoReadError: If opening fails in any other way.
        ImportError: If the library of the backend cannot be imported, which is no fault of the video.

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
    except ImportError:
        raise
    except Exception as error:  # decoders raise any exception
        raise diagnose_error(error, filename) from error
    reader.filename, reader.max_bytes = filename, max_bytes
    return reader
