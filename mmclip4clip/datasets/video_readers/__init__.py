"""Backends that read video files, behind one contract."""
from .base import VideoReader
from .child import ReaderProcess
from .decord_reader import DecordReader
from .errors import NoVideoError, ReaderStalledError, VideoReadError, VideoUnavailableError
from .open import BACKENDS, check_backends, open_reader
from .opencv_reader import OpenCVReader
from .pyav_reader import PyAVReader

__all__ = [
    'BACKENDS', 'DecordReader', 'NoVideoError', 'OpenCVReader', 'PyAVReader', 'ReaderProcess',
    'ReaderStalledError', 'VideoReadError', 'VideoReader', 'VideoUnavailableError', 'check_backends',
    'open_reader'
]
