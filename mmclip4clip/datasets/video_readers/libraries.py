"""Libraries that decode videos. Only the backends that need them import them."""

import importlib
from importlib import metadata
from types import ModuleType

from packaging.version import Version

PACKAGES = dict(
    pyav=('av', 'av'),
    decord=('decord', 'decord'),  # so is the module of the packages decord2 and eva-decord
    opencv=('cv2', 'opencv-python'),
    torchcodec=('torchcodec', 'torchcodec'),
)
FIRST_TORCHCODEC = Version('0.11')  # earlier versions do not turn frames upright
FIRST_TORCH = Version('2.11')  # torchcodec has a stable ABI since then
CUDA_LIBRARIES = ('libtorch_cuda', 'libc10_cuda', 'libcudart', 'libnvrtc', 'libnpp', 'libnvcuvid')


def missing_package(backend: str) -> ImportError:
    """Return the error of a backend whose library is not installed, with the command to install it."""
    message = f'the backend {backend!r} needs a package that is missing: pip install {PACKAGES[backend][1]}'
    return ImportError(message + ' (or decord2 or eva-decord)' * (backend == 'decord'))


def import_decord() -> ModuleType:
    """Import decord, from whichever package it comes.

    Raises:
        ImportError: If it is missing or cannot be loaded. The message has the command to install it.
    """
    try:
        return importlib.import_module('decord')
    except ModuleNotFoundError as error:
        raise missing_package('decord') from error
    except (ImportError, OSError, RuntimeError) as error:  # the last two come from its shared library
        raise ImportError(
            f"the backend 'decord' cannot import decord ({_begin(error)}): pip install --force-reinstall "
            '--no-deps decord'
        ) from error


def _begin(error: BaseException) -> str:
    return f'{type(error).__name__}: ' + ' '.join(str(error).split())[:300]


def import_torchcodec() -> ModuleType:
    """Import torchcodec and check that it can decode videos.

    torchcodec loads the FFmpeg libraries of the system, and up to 0.13 only fails to import without them.
    Its own message lists every version of FFmpeg that it has tried, but not which package is missing.

    Raises:
        ImportError: If it is missing, does not fit the installed torch, or finds no FFmpeg. The message has
            the command that repairs it.
    """
    import torch

    try:
        found = Version(metadata.version('torchcodec'))
    except metadata.PackageNotFoundError as error:
        raise missing_package('torchcodec') from error
    with_torch = Version(torch.__version__)
    if found < FIRST_TORCHCODEC or with_torch < FIRST_TORCH:
        fits = with_torch >= FIRST_TORCH
        raise ImportError(
            f"the backend 'torchcodec' needs torchcodec >= {FIRST_TORCHCODEC} and torch >= {FIRST_TORCH}, "
            f'torchcodec {found} and torch {with_torch} were found: '
            + (f"pip install 'torchcodec>={FIRST_TORCHCODEC}'" if fits else "use the backend 'pyav'")
        )
    try:
        module = importlib.import_module('torchcodec')
        decoders = importlib.import_module('torchcodec.decoders')
        if getattr(module, 'ffmpeg_major_version', None) is None:
            decoders.VideoDecoder(b'')  # raises the error that the import has passed over
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(_explain(error, found)) from error
    return decoders


def _explain(error: Exception, found: Version) -> str:
    """Find out why torchcodec cannot load its libraries, and name the repair."""
    import torch

    message = str(error)
    pair = f"the backend 'torchcodec' cannot load torchcodec {found} with torch {torch.__version__}"
    if any(name in message for name in CUDA_LIBRARIES):
        cuda = torch.version.cuda
        index = f'cu{cuda.replace(".", "")}' if cuda else 'cpu'
        return (
            f'{pair}: it is built for {"another" if cuda else "a"} CUDA than this torch: pip install '
            f'torchcodec --index-url https://download.pytorch.org/whl/{index}'
            + ('' if cuda else "; or, built for CPUs on PyPI: pip install 'torchcodec>=0.11,<0.14'")
        )
    if 'undefined symbol' in message:
        return f'{pair}: they do not fit each other: pip install --upgrade torchcodec'
    if 'libav' in message or 'libsw' in message:
        return (
            f'{pair}: it finds no shared libraries of FFmpeg (4 to 8), which its package does not contain: '
            'apt-get install ffmpeg, or conda install -c conda-forge ffmpeg'
        )
    return f'{pair} ({_begin(error)})'
