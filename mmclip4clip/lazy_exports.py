"""Names of a package that are imported when they are first used."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_exports(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, which imports the module of a name.

    So one module of the package can be imported without all others, and what they import. The package also
    gets a ``__dir__``, so that completion shows the names before their first use.

    Args:
        package (str): The ``__name__`` of the package.
        modules (dict[str, Sequence[str]]): Names by the module that defines them, relative to the package.

    Examples:
        >>> get = lazy_exports('json', dict(decoder=['JSONDecoder']))
        >>> get('JSONDecoder').__name__
        'JSONDecoder'
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        value = getattr(import_module(f'{package}.{module_of[name]}'), name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of})

    vars(sys.modules[package])['__dir__'] = __dir__
    return __getattr__
