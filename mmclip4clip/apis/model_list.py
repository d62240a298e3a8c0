"""The configs of this package by name."""

import fnmatch

from .presets import INDEX, ROOTS, index_entries


def list_models(pattern: str | None = None) -> list[str]:
    """List the names of the configs that the package has, from its metafiles.

    Args:
        pattern (str, optional): Such as ``'*msrvtt*'``; by default all are listed.

    Returns:
        list[str]: Names for :func:`get_model`, sorted.

    Examples:
        >>> list_models('clip4clip-xpool*moving-shapes-rgb')
        ['clip4clip-xpool_vit-tiny-p16-res64_1xb64-f4-8e_moving-shapes-rgb']
    """
    return [name for name in sorted(_paths()) if pattern is None or fnmatch.fnmatch(name, pattern)]


def config_path(name: str) -> str:
    """Return the path of the config with a name.

    Raises:
        ValueError: If there is none; names similar ones.
    """
    paths = _paths()
    if name not in paths:
        similar = list_models(f'*{name}*')[:3]
        hint = f'similar names are {", ".join(similar)}' if similar else 'see mmclip4clip.list_models()'
        raise ValueError(f'no config is called {name!r}: {hint}')
    return paths[name]


def _paths() -> dict[str, str]:
    """Return the paths of all configs by name.

    Raises:
        FileNotFoundError: If the package was installed without them.
    """
    root, entries = index_entries()
    if root is None:
        raise FileNotFoundError(f'{INDEX} is neither in {ROOTS[0]} nor in {ROOTS[1]}: install again')
    return {entry['Name']: str(root / entry['Config']) for entry in entries if 'Weights' not in entry}
