"""Backends that read video files, behind one contract."""
from .base import NoVideoError, VideoReader, VideoReadError
from .child import ReaderProcess
from .decord_reader import DecordReader
from .open import BACKENDS, check_backends, open_reader
from .opencv_reader import OpenCVReader
from .pyav_reader import PyAVReader

__all__ = [
    'BACKENDS', 'DecordReader', 'NoVideoError', 'OpenCVReader', 'PyAVReader', 'ReaderProcess',
    'VideoReadError', 'VideoReader', 'check_backends', 'open_reader'
]
