"""Backends that read video files, with a common interface."""

from typing import TYPE_CHECKING

from ...lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .array_reader import ArrayReader
    from .backends import BACKENDS, check_backends, default_backends, installed_backends, open_reader
    from .decord_reader import DecordReader
    from .errors import NoVideoError, ReaderStalledError, VideoReadError, VideoUnavailableError
    from .opencv_reader import OpenCVReader
    from .pyav_reader import PyAVReader
    from .reader import VideoReader
    from .reader_process import ReaderProcess
    from .torchcodec_reader import TorchCodecReader

__all__ = [
    'ArrayReader',
    'BACKENDS',
    'DecordReader',
    'NoVideoError',
    'OpenCVReader',
    'PyAVReader',
    'ReaderProcess',
    'ReaderStalledError',
    'TorchCodecReader',
    'VideoReadError',
    'VideoReader',
    'VideoUnavailableError',
    'check_backends',
    'default_backends',
    'installed_backends',
    'open_reader',
]

__getattr__ = lazy_exports(
    __name__,
    dict(
        array_reader=['ArrayReader'],
        backends=['BACKENDS', 'check_backends', 'default_backends', 'installed_backends', 'open_reader'],
        decord_reader=['DecordReader'],
        errors=['NoVideoError', 'ReaderStalledError', 'VideoReadError', 'VideoUnavailableError'],
        opencv_reader=['OpenCVReader'],
        pyav_reader=['PyAVReader'],
        reader=['VideoReader'],
        reader_process=['ReaderProcess'],
        torchcodec_reader=['TorchCodecReader'],
    ),
)
