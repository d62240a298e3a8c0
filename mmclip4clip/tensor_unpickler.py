"""Restricted unpickler for ``torch.load(weights_only=True)`` of torch before 2.6, which is not extensible."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch


def encode(text: str, encoding: str) -> bytes:
    """Replace ``codecs.encode``, with which pickles of protocol 2 write bytes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'the file asks for codecs.encode to {encoding!r}')
    return text.encode(encoding)


def unpickler_module(allowed: dict[str, Any]) -> ModuleType:
    """Make the replacement for ``torch._weights_only_unpickler``.

    Only the names of ``allowed`` and of torch's own list can be loaded and called, and only instances of
    these classes are given a state.

    Args:
        allowed (dict[str, Any]): Full names in a pickle, and the functions and classes that they stand for.
    """
    names = {**torch._weights_only_unpickler._get_allowed_globals(), **allowed}
    names |= {'_codecs.encode': encode, 'builtins.set': set, '__builtin__.set': set}
    names |= {str(dtype): dtype for dtype in (torch.bfloat16, torch.bool, torch.uint8)}
    calls = {id(value) for value in names.values()}
    classes = tuple(value for value in allowed.values() if isinstance(value, type))

    python_unpickler: Any = vars(pickle)['_Unpickler']  # only this one has replaceable steps

    class Unpickler(python_unpickler):
        dispatch = dict(python_unpickler.dispatch)

        def find_class(self, module: str, name: str) -> Any:
            if f'{module}.{name}' in names:
                return names[f'{module}.{name}']
            raise pickle.UnpicklingError(f'the file asks for {module}.{name}')

        def call(self) -> None:
            function, arguments = self.stack[-2:]
            if id(function) not in calls:
                raise pickle.UnpicklingError(f'the file asks for a call of {function!r}')
            self.stack[-2:] = [function(*arguments)]

        def create(self) -> None:
            cls, arguments = self.stack[-2:]
            if cls is not torch.nn.Parameter and not any(cls is known for known in classes):
                raise pickle.UnpicklingError(f'the file asks for an instance of {cls!r}')
            self.stack[-2:] = [cls.__new__(cls, *arguments)]

        def build(self) -> None:
            state, value = self.stack.pop(), self.stack[-1]
            if type(value) is torch.Tensor:
                value.set_(*state)
            elif type(value) not in (torch.nn.Parameter, OrderedDict, *classes):
                raise pickle.UnpicklingError(f'the file asks for a state of {type(value)}')
            elif hasattr(type(value), '__setstate__'):
                value.__setstate__(state)
            else:
                value.__dict__.update(state)

        def refuse(self) -> None:
            raise pickle.UnpicklingError('the file asks for a kind of call that checkpoints do not need')

        steps: dict[bytes, Callable] = {pickle.REDUCE: call, pickle.NEWOBJ: create, pickle.BUILD: build}
        others = (pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4)
        dispatch.update({code[0]: step for code, step in {**dict.fromkeys(others, refuse), **steps}.items()})

    module = ModuleType('torch._weights_only_unpickler')
    vars(module).update(
        Unpickler=Unpickler,
        load=lambda file, **options: Unpickler(file, **options).load(),
        loads=lambda raw, **options: Unpickler(io.BytesIO(raw), **options).load(),
    )
    return module
