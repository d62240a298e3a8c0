"""The file of one cached video: a header with a checksum, what is known of the frames, the frames."""

import json
import math
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MAGIC = b'C4CFRM\x00\x01'  # the last byte is the version of the format
FIXED = struct.Struct('<8sI')  # magic; CRC-32 of all that follows
SIZES = struct.Struct('<32sIQ')  # key; bytes of the JSON and of the frames
HEADER = FIXED.size + SIZES.size


class DamagedEntryError(ValueError):
    """A file that is not, or no longer, what was written for a key."""


def pack_entry(key: str, info: dict, frames: np.ndarray) -> list[Any]:
    """Lay out one entry.

    CRC-32 because it costs 0.3 ms a MB, a fifth of BLAKE2: it finds every change within 32 bits, and of
    larger ones all but one in 4 * 10**9. It is no protection from somebody who forges entries.

    Args:
        key (str): 64 hexadecimal digits.
        info (dict): What belongs to the frames: plain values, tuples and arrays.
        frames (np.ndarray): uint8, of any shape.

    Returns:
        list: Buffers to write one after the other.

    Raises:
        TypeError: If ``info`` has a value of another type.
    """
    frames = np.ascontiguousarray(frames)
    content = json.dumps(dict(shape=frames.shape, info=to_json(info))).encode()
    sizes = SIZES.pack(bytes.fromhex(key), len(content), frames.nbytes)
    pixels = frames.reshape(-1).data
    return [FIXED.pack(MAGIC, _checksum(sizes, content, pixels)), sizes, content, pixels]


def read_entry(path: Path, key: str) -> tuple[dict, np.ndarray]:
    """Read what was written for a key, if every byte of it is still there.

    It is read, not mapped: a file that is cut short meanwhile is then an error, and not a signal.

    Args:
        path (Path): The file.
        key (str): 64 hexadecimal digits.

    Returns:
        tuple[dict, np.ndarray]: ``info`` and frames, which the caller may change.

    Raises:
        FileNotFoundError: If there is none.
        OSError: If it cannot be read.
        DamagedEntryError: If it holds anything else than the entry of this key.
    """
    # O_NONBLOCK: to open a pipe that lies in its place would wait for ever.
    with open(path, 'rb', opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DamagedEntryError('it is not a file')
        magic, checksum = FIXED.unpack(_read(file, FIXED.size))
        if magic != MAGIC:
            raise DamagedEntryError('it does not begin as an entry of this cache does')
        sizes = _read(file, SIZES.size)
        owner, length, num_bytes = SIZES.unpack(sizes)
        if HEADER + length + num_bytes != status.st_size:  # before memory is asked for
            raise DamagedEntryError(
                f'it has {status.st_size} bytes, its header says {HEADER + length + num_bytes}'
            )
        content = _read(file, length)
        pixels = np.empty(num_bytes, np.uint8)
        if file.readinto(pixels.data) != num_bytes:
            raise DamagedEntryError('it became shorter while it was read')
    if checksum != _checksum(sizes, content, pixels.data):
        raise DamagedEntryError('its checksum does not fit')
    if owner.hex() != key:
        raise DamagedEntryError('it was written for another video')
    return _unpack(content, pixels)


def to_json(value: Any) -> Any:
    """Put a value into a form that JSON keeps; tuples and arrays as lists under a name.

    Raises:
        TypeError: If it is of another type.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return {'array': [value.dtype.str, value.shape, value.ravel().tolist()]}
    if isinstance(value, np.generic):
        return to_json(value.item())
    if isinstance(value, dict):
        return {'dict': [[str(name), to_json(part)] for name, part in value.items()]}
    if isinstance(value, (list, tuple)):
        parts = [to_json(part) for part in value]
        return {'tuple': parts} if isinstance(value, tuple) else parts
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f'a cache of frames cannot keep a {type(value).__name__}')


def from_json(value: Any) -> Any:
    """Return the value that :func:`to_json` was given."""
    if isinstance(value, list):
        return [from_json(part) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == 'array':
        dtype, shape, numbers = content
        return np.array(numbers, dtype).reshape(shape)
    return (
        {name: from_json(part) for name, part in content}
        if kind == 'dict'
        else tuple(from_json(part) for part in content)
    )


def _read(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise DamagedEntryError('it ends too early')
    return content


def _checksum(*parts: Any) -> int:
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum


def _unpack(content: bytes, pixels: np.ndarray) -> tuple[dict, np.ndarray]:
    """Turn JSON and pixels into what was packed; a checksum that fits does not say who wrote them."""
    try:
        said = json.loads(content)
        shape, info = tuple(said['shape']), from_json(said['info'])
        if not isinstance(info, dict) or math.prod(shape) != pixels.size:
            raise ValueError('the frames do not have their shape')
        return info, pixels.reshape(shape)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DamagedEntryError(f'what it says of its frames cannot be used: {error!r}') from error
