"""Files of the Hugging Face hub, without minutes of waiting where there is no network."""

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_session, is_offline_mode

SECONDS = 5.0  # within which the hub must answer, name look-up included


def load_named(
    load: Callable[..., Any], name: str, complete: Callable[[Any], bool] = lambda loaded: True, **kwargs: Any
) -> Any:
    """Load from a local folder, else from the local cache of the hub, else from the hub if it answers.

    Without a network, huggingface_hub (2.4) asks for each of a model's files six times, for minutes in all.

    Args:
        load (Callable): A ``from_pretrained``.
        name (str): Name on the hub, or a local folder.
        complete (Callable): Whether what was loaded is whole; the cache may hold a part of the files.
        **kwargs: For ``load``.

    Raises:
        OSError: If the hub is needed and does not answer; and what ``load`` raises.
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
        reason = 'offline mode is on' if is_offline_mode() else f'gave no answer within {SECONDS:g} s'
        raise OSError(
            f'{name!r} is neither a local folder nor in the local cache, and {constants.ENDPOINT} '
            f'cannot be asked: {reason}'
        ) from cause
    return load(name, **kwargs)


@functools.cache
def hub_answers() -> bool:
    """Ask the hub once a process, in another thread: looking up its name can take longer than a timeout."""
    if is_offline_mode():
        return False
    answers = []

    def ask() -> None:
        try:
            answers.append(get_session().head(constants.ENDPOINT, timeout=SECONDS).status_code < 500)
        except Exception:  # each HTTP library has its own errors; all of them mean that there is no answer
            answers.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return answers == [True]
