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
        import decord
    except ModuleNotFoundError as error:
        raise missing_package('decord') from error
    except (ImportError, OSError, RuntimeError) as error:  # the last two come from its shared library
        raise ImportError(
            f"the backend 'decord' cannot import decord ({_begin(error)}): pip install --force-reinstall "
            '--no-deps decord'
        ) from error
    return decord


def _begin(error: BaseException) -> str:
    return f'{type(error).__name__}: ' + ' '.join(str(error).split())[:300]


def import_torchcodec() -> ModuleType:
    """Import torchcodec and check that it can decode videos.

    torchcodec loads the FFmpeg libraries of the system. Without them, the import fails up to 0.13, and the
    first decoder fails later. Its message lists all versions of FFmpeg that it tried, but no repair.

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
            _load_ffmpeg(decoders)
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(_explain(error, found)) from error
    return decoders


def _load_ffmpeg(decoders: ModuleType) -> None:
    """Raise the error that the import of torchcodec has passed over."""
    try:
        decoders.VideoDecoder(b'')
    except (RuntimeError, ValueError) as error:  # if FFmpeg is there, the error is about the empty video
        if 'libtorchcodec' in str(error):
            raise


def _explain(error: BaseException, found: Version) -> str:
    """Find out why torchcodec cannot load its libraries, and name the repair."""
    import torch

    message, cause = str(error), error.__cause__
    while cause is not None:  # from 0.16 on, the loader's message is that of the cause
        message, cause = f'{message} {cause}', cause.__cause__
    pair = f"the backend 'torchcodec' cannot load torchcodec {found} with torch {torch.__version__}"
    if any(name in message for name in CUDA_LIBRARIES):
        return (
            f'{pair}: it is built for a CUDA that this torch (CUDA {torch.version.cuda}) lacks; earlier ones '
            "are built for CPUs, which is enough here: pip install 'torchcodec>=0.11,<0.14'"
        )
    if 'undefined symbol' in message:
        return f'{pair}: they do not fit each other: pip install --upgrade torchcodec'
    if 'libav' in message or 'libsw' in message:
        return (
            f'{pair}: it finds no shared libraries of FFmpeg (4 to 8), which its package does not contain: '
            'apt-get install ffmpeg, or conda install -c conda-forge ffmpeg'
        )
    return f'{pair} ({type(error).__name__}: {" ".join(message.split())[:300]})'
