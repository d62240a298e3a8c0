"""Numpy arrays out of pickles that nobody vouches for.

An unpickler that knows ``numpy.dtype`` and ``numpy.ndarray`` lets a forged file
make an array of objects out of raw bytes, that is, of pointers of its choice.
The stand-ins below take the place of the four names that numpy writes, check
what they are given, and make arrays of numbers, truth values and text only.
"""

import math
import pickle
import pickletools
import re
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

PLAIN = re.compile(r'[?bBhHiIlLqQefd]|b1|[iu][1248]|f[248]|U\d{1,9}')


class PlainDtype:
    """A stand-in for ``numpy.dtype`` that is never more than a plain kind."""

    __slots__ = ('dtype',)

    def __init__(self, kind: str, align: bool = False, copy: bool = True) -> None:
        if not (isinstance(kind, str) and PLAIN.fullmatch(kind)):
            raise pickle.UnpicklingError(f'the file asks for an array of {kind!r}')
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: tuple) -> None:
        """Accept the state of a plain dtype in native byte order, which says nothing new."""
        if not (
            isinstance(state, tuple)
            and len(state) >= 5
            and state[1] in ('<', '|', '=')
            and state[2] is state[3] is state[4] is None
            and hasattr(self, 'dtype')
        ):
            raise pickle.UnpicklingError('the file asks for an array of structures or of another byte order')


class PlainArray(np.ndarray):
    """An array that checks its bytes before it takes them from a pickle."""

    def __new__(cls) -> 'PlainArray':
        """Begin empty: shape, kind and memory are not for the file to choose."""
        return super().__new__(cls, (0,), np.uint8)

    def __setstate__(self, state: tuple) -> None:
        """Take shape, dtype and bytes, once they fit one another."""
        _, shape, dtype, fortran, raw = state
        if not (
            isinstance(dtype, PlainDtype)
            and isinstance(raw, bytes)
            and isinstance(shape, tuple)
            and all(type(n) is int and n >= 0 for n in shape)
            and math.prod(shape) * dtype.dtype.itemsize == len(raw)
        ):
            raise pickle.UnpicklingError('the file holds an array whose bytes do not fit its shape')
        fits: Any = (1, shape, dtype.dtype, bool(fortran), raw)  # numpy declares its own kind of truth value
        super().__setstate__(fits)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Be pickled as the ordinary array that it holds."""
        return np.asarray(self).view(np.ndarray).__reduce__()


class ArrayName:
    """What the name ``numpy.ndarray`` stands for in a pickle: a word without a meaning."""


def reconstruct(*_) -> PlainArray:
    """Stand in for numpy's ``_reconstruct``: begin an array whose state comes next."""
    return PlainArray()


def scalar(dtype: PlainDtype, raw: bytes) -> np.generic:
    """Stand in for numpy's ``scalar``: make one number."""
    if not (isinstance(dtype, PlainDtype) and isinstance(raw, bytes) and dtype.dtype.itemsize == len(raw)):
        raise pickle.UnpicklingError('the file holds a number whose bytes do not fit its kind')
    return np.frombuffer(raw, dtype.dtype)[0]


# Full names as numpy 1.x and 2.x write them.
STAND_INS: dict[str, Callable] = {'numpy.dtype': PlainDtype, 'numpy.ndarray': ArrayName}
for _module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
    STAND_INS |= {f'{_module}._reconstruct': reconstruct, f'{_module}.scalar': scalar}


class PlainUnpickler(pickle.Unpickler):
    """Read arrays and plain Python values, and nothing that could run code.

    Time and memory are bounded by the size of the file.

    Args:
        file (BinaryIO): A file that can be read twice.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._file = file

    def load(self) -> Any:
        """Read one pickle.

        Raises:
            pickle.UnpicklingError: If it asks for code, or for more memory than it has bytes.
            Exception: Whatever else a damaged pickle makes of itself.
        """
        begin = self._file.tell()
        # Python's unpickler makes room for any number of remembered objects, 32 GiB for one of 5 bytes.
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self._file)):
            if (
                opcode.name in ('PUT', 'BINPUT', 'LONG_BINPUT')
                and isinstance(argument, int)
                and not 0 <= argument <= count
            ):
                raise pickle.UnpicklingError(f'the file has object number {argument:,} after {count:,} steps')
        self._file.seek(begin)
        return super().load()

    def find_class(self, module: str, name: str):
        """Give the stand-in of one of numpy's names, and refuse every other name."""
        if f'{module}.{name}' in STAND_INS:
            return STAND_INS[f'{module}.{name}']
        raise pickle.UnpicklingError(f'the file asks for {module}.{name}')
