"""Values of ``--cfg-options`` on the command line."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import DictAction


def parse_options(options: Sequence[str] | Mapping[str, Any] | None) -> dict[str, Any]:
    """Parse settings that replace those of a config.

    Args:
        options (Sequence[str] | Mapping[str, Any], optional): ``'key=value'`` each, with dots in nested keys.
            A mapping, as mmengine's ``DictAction`` makes it, is returned as a dict.

    Raises:
        ValueError: If a setting has no ``=``, or its brackets do not match.

    Examples:
        >>> parse_options(['train_cfg.max_epochs=3', 'model.a=[1,2]'])
        {'train_cfg.max_epochs': 3, 'model.a': [1, 2]}
    """
    if options is None or isinstance(options, Mapping):
        return dict(options or {})
    for option in options:
        if '=' not in option:
            raise ValueError(f'--cfg-options expects key=value, got {option!r}')
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('options', nargs='*', action=DictAction)
    try:
        return dict(parser.parse_args(['--', *options]).options or {})
    except AssertionError as error:  # of DictAction
        raise ValueError(f'--cfg-options: {error}') from error
