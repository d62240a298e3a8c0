"""Run code around the import of another package, whenever that happens.

So ``import mmclip4clip`` imports no torch, and still registers its classes as soon as mmaction2 is there.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Around = Callable[[], AbstractContextManager]


class ImportHooks(MetaPathFinder):
    """Finder that runs the body of some modules within a context.

    It finds no module itself: it asks the finders behind it, and wraps the loader that they return. A module
    that is only looked for keeps its context, and so does one whose import fails.

    Attributes:
        around (dict[str, list[Callable]]): Contexts by name of the module, called without arguments.
    """

    def __init__(self) -> None:
        self.around: dict[str, list[Around]] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a module that has a context, as the other finders do."""
        if fullname not in self.around:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = LoaderInContext(spec.loader, self)
        return spec

    def run(self, loader: Any, module: ModuleType) -> None:
        """Run the body of a module within its contexts, and forget them."""
        name = module.__name__
        with ExitStack() as stack:
            for context in self.around.get(name, ()):
                stack.enter_context(context())
            loader.exec_module(module)
        self.around.pop(name, None)
        if not self.around and self in sys.meta_path:
            sys.meta_path.remove(self)


class LoaderInContext(Loader):
    """Loader that runs a module within its contexts, and leaves it with its own loader.

    Args:
        loader (Loader): The loader of the module.
        hooks (ImportHooks): Have the contexts.
    """

    def __init__(self, loader: Any, hooks: ImportHooks) -> None:
        self.loader, self.hooks = loader, hooks

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as its own loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.hooks.run(self.loader, module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


HOOKS = ImportHooks()


def around_import(name: str, context: Around) -> None:
    """Run the body of a module within a context; at once if the module is there.

    Args:
        name (str): Full name of the module.
        context (Callable): Returns a context manager. What it raises after the body is raised by the import.

    Examples:
        >>> seen = []
        >>> after_import('json', lambda: seen.append('now'))
        >>> seen
        ['now']
    """
    if sys.modules.get(name) is not None:
        with context():
            return
    HOOKS.around.setdefault(name, []).append(context)
    if HOOKS not in sys.meta_path:
        sys.meta_path.insert(0, HOOKS)


def after_import(name: str, action: Callable[[], object]) -> None:
    """Call a function after a module has been imported; at once if it is there.

    Args:
        name (str): Full name of the module.
        action (Callable): The function; not called if the import fails.
    """

    @contextmanager
    def context() -> Iterator[None]:
        yield
        action()

    around_import(name, context)
