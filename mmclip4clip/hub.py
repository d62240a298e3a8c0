"""Loading from the Hugging Face hub without long waits if there is no network."""

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.utils import get_session

SECONDS = 5.0  # time limit for an answer of the hub, including name resolution


def load_named(
    load: Callable[..., Any], name: str, complete: Callable[[Any], bool] = lambda loaded: True, **kwargs: Any
) -> Any:
    """Load from a local folder, the local cache of the hub, or the hub, in this order.

    Without a network, huggingface_hub 2.4 requests each file of a model six times, which takes minutes.

    Args:
        load (Callable): A ``from_pretrained`` method.
        name (str): Name on the hub, or a local folder.
        complete (Callable): Returns whether a loaded object is complete; the cache may lack files.
        **kwargs: Arguments of ``load``.

    Raises:
        OSError: If the hub is needed and does not answer, or from ``load``.

    Examples:
        >>> import tempfile
        >>> from transformers import CLIPTextConfig
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     CLIPTextConfig(hidden_size=64).save_pretrained(folder)
        ...     load_named(CLIPTextConfig.from_pretrained, folder).hidden_size
        64
    """
    if Path(name).is_dir():
        return load(name, **kwargs)
    cause: OSError | ValueError
    try:
        loaded = load(name, local_files_only=True, **kwargs)
        if complete(loaded):
            return loaded
        cause = ValueError('the local cache has only a part of it')
    except (OSError, ValueError) as error:
        cause = error
    if not hub_answers():
        reason = 'offline mode is on' if constants.HF_HUB_OFFLINE else f'no answer within {SECONDS:g} s'
        raise OSError(
            f'{name!r} is neither a local folder nor in the local cache, and {constants.ENDPOINT} '
            f'cannot be reached: {reason}'
        ) from cause
    return load(name, **kwargs)


@functools.cache
def hub_answers() -> bool:
    """Return whether the hub answers; checked once per process, in a thread because DNS ignores timeouts."""
    if constants.HF_HUB_OFFLINE:
        return False
    answers = []

    def ask() -> None:
        try:
            answers.append(get_session().head(constants.ENDPOINT, timeout=SECONDS).status_code < 500)
        except Exception:  # HTTP libraries raise different errors, which all mean no answer
            answers.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return answers == [True]
