"""Find boxes in MP4 and MOV files, whose layout is that of ISO/IEC 14496-12."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

MAX_BOXES = 1000  # at the top level of a file, and in another box
MAX_MOOV = 2**28  # bytes


def find_moov(file: BinaryIO, size: int) -> bytes | None:
    """Return the content of the box with the tables of all tracks.

    Args:
        file (BinaryIO): The open file.
        size (int): Its size in bytes.

    Returns:
        bytes | None: None if the file is fragmented, cut off, or not made of boxes.
    """
    place, moov = 0, None
    for _ in range(MAX_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return moov
        length, kind = struct.unpack('>I4s', head[:8])
        begin = 8
        if length == 1:
            length, begin = struct.unpack('>Q', head[8:16])[0], 16
        length = length or size - place
        if length < begin or place + length > size or kind in (b'moof', b'sidx'):
            return None
        if kind == b'moov':
            if moov is not None or length > MAX_MOOV:
                return None
            file.seek(place + begin)
            moov = file.read(length - begin)
        place += length
    return None


def list_boxes(content: bytes) -> Iterator[tuple[str, bytes]]:
    r"""Yield the name and the content of each box in another one.

    Raises:
        ValueError: If a box is longer than the rest, or there are too many.

    Examples:
        >>> list(list_boxes(b'\0\0\0\x09free!'))
        [('free', b'!')]
    """
    place, count = 0, 0
    while place + 8 <= len(content):
        count += 1
        if count > MAX_BOXES:
            raise ValueError(f'there are more than {MAX_BOXES} boxes')
        length, kind = struct.unpack_from('>I4s', content, place)
        if length < 8 or place + length > len(content):
            raise ValueError(f'box {kind!r} has {length} bytes')
        yield kind.decode('latin-1'), content[place + 8 : place + length]
        place += length


def find_box(content: bytes, path: str) -> bytes:
    """Return the content of the only box at a path of names.

    Raises:
        KeyError: If there is none, or several.
    """
    for name in path.split('/'):
        found = [inner for kind, inner in list_boxes(content) if kind == name]
        if len(found) != 1:
            raise KeyError(name)
        content = found[0]
    return content


def read_rows(box: bytes, columns: int, kind: str = '>i4') -> np.ndarray:
    """Return a table that starts with version, flags and count, (count, columns) int64."""
    count = struct.unpack_from('>I', box, 4)[0]
    values = np.frombuffer(box, kind, count * columns, offset=8)
    return values.reshape(count, columns).astype(np.int64)


def read_number(box: bytes, first: int, later: int) -> int:
    """Return a number of 4 bytes at one of two places, for version 0 and later ones of a box."""
    return struct.unpack_from('>I', box, later if any(box[:1]) else first)[0]
