"""Safe unpickling of numpy arrays from untrusted files.

If an unpickler allows ``numpy.dtype`` and ``numpy.ndarray``, a forged file can create an array of objects
from raw bytes, and so from pointers of its choice. The replacements below stand for the four names that numpy
writes. They check their arguments and create only arrays of numbers, booleans and text.
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
    """Replacement for ``numpy.dtype`` that only allows plain types."""

    __slots__ = ('dtype',)

    def __init__(self, kind: str, align: bool = False, copy: bool = True) -> None:
        if not (isinstance(kind, str) and PLAIN.fullmatch(kind)):
            raise pickle.UnpicklingError(f'the file asks for an array of {kind!r}')
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: tuple) -> None:
        """Accept only the state of a plain dtype in native byte order, which has no further effect."""
        if not (
            isinstance(state, tuple)
            and len(state) >= 5
            and state[1] in ('<', '|', '=')
            and state[2] is state[3] is state[4] is None
            and hasattr(self, 'dtype')
        ):
            raise pickle.UnpicklingError('the file asks for an array of structures or of another byte order')


class PlainArray(np.ndarray):
    """Replacement for ``numpy.ndarray`` that checks the bytes in a pickle."""

    def __new__(cls) -> 'PlainArray':
        """Create an empty array, ignoring the shape and type in the file."""
        return super().__new__(cls, (0,), np.uint8)

    def __setstate__(self, state: tuple) -> None:
        """Set shape, dtype and bytes after checking that they match."""
        _, shape, dtype, fortran, raw = state
        if not (
            isinstance(dtype, PlainDtype)
            and isinstance(raw, bytes)
            and isinstance(shape, tuple)
            and all(type(n) is int and n >= 0 for n in shape)
            and math.prod(shape) * dtype.dtype.itemsize == len(raw)
        ):
            raise pickle.UnpicklingError('the file contains an array whose bytes do not match its shape')
        checked: Any = (1, shape, dtype.dtype, bool(fortran), raw)  # numpy declares numpy.bool
        super().__setstate__(checked)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle as an ordinary array."""
        return np.asarray(self).view(np.ndarray).__reduce__()


class ArrayName:
    """Placeholder for the name ``numpy.ndarray`` in a pickle."""


def reconstruct(*_) -> PlainArray:
    """Replace numpy's ``_reconstruct``: create an array whose state follows."""
    return PlainArray()


def scalar(dtype: PlainDtype, raw: bytes) -> np.generic:
    """Replace numpy's ``scalar``: create one number."""
    if not (isinstance(dtype, PlainDtype) and isinstance(raw, bytes) and dtype.dtype.itemsize == len(raw)):
        raise pickle.UnpicklingError('the file contains a number whose bytes do not match its type')
    return np.frombuffer(raw, dtype.dtype)[0]


# Full names as numpy 1.x and 2.x write them.
STAND_INS: dict[str, Callable] = {'numpy.dtype': PlainDtype, 'numpy.ndarray': ArrayName}
for _module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
    STAND_INS |= {f'{_module}._reconstruct': reconstruct, f'{_module}.scalar': scalar}


class PlainUnpickler(pickle.Unpickler):
    """Unpickler that only allows arrays and plain Python values.

    Time and memory are bounded by the size of the file.

    Args:
        file (BinaryIO): A seekable file.

    Examples:
        >>> import io
        >>> PlainUnpickler(io.BytesIO(pickle.dumps(dict(scores=np.zeros(2))))).load()
        {'scores': PlainArray([0., 0.])}
        >>> PlainUnpickler(io.BytesIO(pickle.dumps(print))).load()
        Traceback (most recent call last):
            ...
        _pickle.UnpicklingError: the file asks for builtins.print
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._file = file

    def load(self) -> Any:
        """Load one pickle.

        Raises:
            pickle.UnpicklingError: If it needs code, or more memory than its size justifies.
            Exception: Any other error of a damaged pickle.
        """
        begin = self._file.tell()
        # Python's unpickler allocates memory for any memo index in the file: 32 GiB for an opcode of 5 bytes.
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
        """Return the replacement for one of numpy's names; raise UnpicklingError for all others."""
        if f'{module}.{name}' in STAND_INS:
            return STAND_INS[f'{module}.{name}']
        raise pickle.UnpicklingError(f'the file asks for {module}.{name}')
