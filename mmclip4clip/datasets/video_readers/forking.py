import gc
import os
from threading import Lock

_TURN = Lock()  # of the threads that fork, or one could find what another has switched off


def _renew_turn() -> None:
    global _TURN
    _TURN = Lock()  # a thread that held it is not in the child


if hasattr(os, 'register_at_fork'):  # not on Windows
    os.register_at_fork(after_in_child=_renew_turn)


def fork_without_garbage() -> int:
    """Fork, and let the child never collect what its parent left behind.

    That garbage may wait for threads that a fork lacks, as decord's readers do. A collection can begin as
    soon as the child runs, in what libraries do after a fork, so it is off from before the fork on.

    Returns:
        int: The id of the child; 0 in the child.

    Raises:
        OSError: As of :func:`os.fork`.
    """
    with _TURN:
        enabled = gc.isenabled()
        gc.disable()
        try:
            pid = os.fork()
            if pid == 0:
                gc.freeze()
        finally:
            if enabled:
                gc.enable()
    return pid
