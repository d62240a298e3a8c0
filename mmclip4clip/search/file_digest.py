"""Digest the content of files."""

import hashlib
from typing import BinaryIO

BLOCK = 2**20  # bytes read at once


def digest_file(path: str) -> str:
    """Digest the content of a file, BLAKE2b of 16 bytes in hex.

    Examples:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     digest_file(file.name)
        'cae66941d9efbd404e4d88758ea67670'
    """
    with open(path, 'rb') as file:
        return digest_open_file(file)


def digest_open_file(file: BinaryIO) -> str:
    """Digest what is left to read of an open file, as :func:`digest_file` does."""
    digest = hashlib.blake2b(digest_size=16)
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()
