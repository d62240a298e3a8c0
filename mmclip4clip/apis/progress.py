import sys
from collections.abc import Iterable, Sized
from typing import Any

from rich.console import Console
from rich.progress import track


def with_progress(batches: Any, show: bool | None, text: str = 'videos') -> Iterable:
    """Show a progress bar on stderr while batches are taken.

    Args:
        batches (Iterable): The batches; with a length, the bar shows the remaining time.
        show (bool, optional): Whether to show it; by default, if stderr is a terminal and there are several.
        text (str): Its label.

    Examples:
        >>> list(with_progress([1, 2], show=None))  # stderr is no terminal here
        [1, 2]
    """
    if show is None:
        show = sys.stderr.isatty() and not (isinstance(batches, Sized) and len(batches) == 1)
    return track(batches, text, console=Console(stderr=True)) if show else batches
