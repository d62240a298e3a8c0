"""Integrity checks of checkpoint files before they are loaded: file format and checksums.

``torch.load`` does not compare the checksums that ``torch.save`` writes, so that most files with a flipped
bit load without an error. This module neither needs torch nor unpickles anything.
"""

import os
import pickle
import re
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20  # bytes
FOLDER = 0x10  # the MS-DOS attribute of an entry that is a folder
ARCHIVE = b'PK\x03\x04'
# A pickle of protocol 2 or 3 whose first object is torch's magic number 0x1950a86a20f9469cfc6c.
PICKLE, LEGACY = b'\x80', b'\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19'
OTHER_FILES = {
    b'version https://git-lfs': 'a pointer of Git LFS: run "git lfs pull" to get the file',
    b'\x1f\x8b': 'a gzip file: unpack it first',
    b'BZh': 'a bzip2 file: unpack it first',
    b'\xfd7zXZ': 'an xz file: unpack it first',
    b'7z\xbc\xaf': 'a 7z archive: unpack it first',
    b'\x89HDF': 'an HDF5 file',
}


class CheckpointFileError(RuntimeError):
    """Raised for a file that cannot be loaded as a checkpoint.

    Examples:
        >>> import io
        >>> try:
        ...     verify_checkpoint(io.BytesIO(b'not a checkpoint'))
        ... except CheckpointFileError as error:
        ...     print(type(error).__name__)
        NotACheckpointError
    """


class DamagedCheckpointError(CheckpointFileError):
    """Raised for a checkpoint that is truncated or has changed since it was saved.

    Examples:
        >>> import io
        >>> try:
        ...     verify_checkpoint(io.BytesIO(bytes(1000)))
        ... except DamagedCheckpointError:
        ...     print('damaged')
        damaged
    """


class NotACheckpointError(CheckpointFileError):
    """Raised for a file that ``torch.save`` did not write.

    Examples:
        >>> import io
        >>> try:
        ...     verify_checkpoint(io.BytesIO(b'{"lr": 0.1}'))
        ... except NotACheckpointError:
        ...     print('not a checkpoint')
        not a checkpoint
    """


class RefusedCheckpointError(CheckpointFileError):
    """Raised for a file with more than tensors and plain values, which could run code.

    Examples:
        >>> import tempfile
        >>> import torch
        >>> from mmclip4clip.checkpoint_reading import load_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(print, f'{folder}/print.pth')  # pickles a function
        ...     try:
        ...         load_checkpoint(f'{folder}/print.pth')
        ...     except RefusedCheckpointError:
        ...         print('refused')
        refused
    """


def verify_checkpoint(file: str | Path | BinaryIO) -> bool:
    """Check the format and the checksums of a checkpoint, in about half a second per GiB.

    Args:
        file (str | Path | BinaryIO): File of ``torch.save`` or TorchScript archive, as a path or an open
        file.

    Returns:
        bool: True if all checksums are correct. False if the file has none, as in the format of torch before
        version 1.6.

    Raises:
        DamagedCheckpointError: If the file is damaged.
        NotACheckpointError: If it is not a checkpoint.
        FileNotFoundError: If it does not exist.

    Examples:
        >>> import io, torch
        >>> file = io.BytesIO()
        >>> torch.save(dict(weight=torch.ones(2)), file)
        >>> verify_checkpoint(file)
        True
    """
    if not isinstance(file, (str, Path)):
        return _verify(file, getattr(file, 'name', 'the checkpoint'))
    path = Path(file)
    if path.is_dir():
        raise NotACheckpointError(f'{path} is a folder, expected a checkpoint file')
    if path.exists() and not path.is_file():
        raise NotACheckpointError(f'{path} is a pipe or a device, expected a checkpoint file')
    with path.open('rb') as opened:
        return _verify(opened, str(path))


def _verify(file: BinaryIO, name: str) -> bool:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(512)
    if not head.strip(b'\0'):
        reason = f'its {size} bytes begin with zeros' if size else 'it is empty'
        raise DamagedCheckpointError(f'{name} is damaged: {reason}, as after a crash while it was saved')
    try:
        if head.startswith(ARCHIVE) or ARCHIVE.startswith(head):
            _verify_archive(file, name, size)
            return True
        file.seek(0)
        if head.startswith(PICKLE) and head[2:].startswith(LEGACY) and not tarfile.is_tarfile(file):
            return False
        if zipfile.is_zipfile(file):
            raise DamagedCheckpointError(
                f'{name} is damaged: it ends as an archive, but begins with '
                f'{head[:4]!r} instead of {ARCHIVE!r}'
            )
        raise NotACheckpointError(f'{name} is not a checkpoint: it is {_describe(head)}')
    finally:
        file.seek(0)


def _verify_archive(file: BinaryIO, name: str, size: int) -> None:
    """Compare the checksum of every entry of a zip archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            wrong = next(
                (text for entry in archive.infolist() if (text := _find_fault(archive, entry))), None
            )
    except Exception as error:  # damaged archives raise many types; the cause is reported
        reason = f'its archive is inconsistent: {str(error) or type(error).__name__}'
        if 'not a zip file' in str(error):
            reason = f'it was cut short or its end was overwritten (no list of contents after {size} bytes)'
        raise DamagedCheckpointError(f'{name} is damaged: {reason}') from None
    if wrong:
        raise DamagedCheckpointError(f'{name} is damaged: {wrong}')


def _find_fault(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str | None:
    """Describe the fault of an entry; None if it has none."""
    if entry.external_attr & FOLDER:
        return f'its entry {entry.filename} is marked as a folder'  # torch would return uninitialized memory
    expected, crc = entry.CRC, 0
    entry.CRC = None  # type: ignore[assignment]  # disables the check of zipfile, whose error lacks both values
    with archive.open(entry) as data:
        while chunk := data.read(CHUNK):
            crc = zlib.crc32(chunk, crc)
    if crc == expected:
        return None
    return f'wrong checksum in its entry {entry.filename}, expected {expected:08x}, got {crc:08x}'


def _describe(head: bytes) -> str:
    """Describe a file by its first bytes."""
    for start, description in OTHER_FILES.items():
        if head.startswith(start):
            return description
    if head[257:262] == b'ustar':
        return "a tar archive, torch's format before version 0.1.10, or something packed"
    if head[8:9] == b'{' and int.from_bytes(head[:8], 'little') < 1 << 32:
        return 'a safetensors file, which is read from a folder that contains config.json too'
    if head.startswith(PICKLE):
        return 'a pickle that torch.save did not write, or whose first bytes are damaged'
    text = head.decode('utf-8', 'ignore').strip()
    if text.lower().startswith(('<!doctype', '<html', '<?xml')):
        return 'a web page, perhaps the error page of a download'
    if len(text) * 2 > len(head) and all(c.isprintable() or c.isspace() for c in text):
        return f'text that begins with {text[:40]!r}'
    return f'a file of unknown format that begins with {head[:8]!r}, or a checkpoint whose start is damaged'


def explain_failure(name: str, error: Exception, checksums: bool = True) -> CheckpointFileError:
    """Translate an error of ``torch.load`` into one that is useful to the user.

    Args:
        name (str): Name of the file.
        error (Exception): Error of ``torch.load(weights_only=True)`` after :func:`verify_checkpoint`.
        checksums (bool): Result of :func:`verify_checkpoint`, whether the file has correct checksums.
    """
    text = str(error)
    refused = f'{name} was refused as a checkpoint and nothing in it was run: '
    if 'TorchScript' in text:
        return RefusedCheckpointError(
            refused + 'it is a TorchScript archive, which is a program. If you trust its origin: '
            'python tools/model_converters/convert.py FILE OUT.pth'
        )
    asked = re.search(r'GLOBAL (\S+)|asks for ([^\n]+)|(?:function|class|got) ([\w.]+\.\w+)', text)
    if isinstance(error, pickle.UnpicklingError) and asked:
        doubt = '' if checksums else ', or its bytes have changed (its format has no checksums)'
        return RefusedCheckpointError(
            f'{refused}it asks for {asked[1] or asked[2] or asked[3]}, which could run code{doubt}. Loading '
            'allows tensors and plain Python values only. If you trust its origin, convert it elsewhere'
        )
    cause = text.split('WeightsUnpickler error:')[-1].strip() or type(error).__name__
    cause = cause.splitlines()[0]
    if not checksums or 'PytorchStreamReader' in text:
        return DamagedCheckpointError(f'{name} is damaged, cut short or with other bytes: {cause}')
    return CheckpointFileError(f'{name} could not be loaded as a checkpoint: {cause}')
