import ctypes
import functools
import os
import platform

# Parameters of glibc's mallopt.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
# What glibc itself arrives at in a process that frees large blocks: blocks of more than 32 MiB are returned.
RETURNED = {MMAP_MAX: 2**16, MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26}
# Who sets one of these has decided about the allocator.
SETTINGS = ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_MMAP_MAX_', 'GLIBC_TUNABLES')


def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees for its next tensors, instead of returning it.

    By default, glibc returns each block of more than 32 MiB to the system at once. The system then has to
    clear new pages for the same activations in every step, which takes a tenth of the CPU time of training
    ViT-B/32. It does nothing without glibc, or where a variable such as ``MALLOC_TRIM_THRESHOLD_`` is set.

    Its forks return memory again. They are data workers and the readers of videos, and each would otherwise
    keep as much as its largest video has taken.

    Returns:
        bool: Whether memory is kept.

    Examples:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if platform.libc_ver()[0] != 'glibc' or any(os.environ.get(name) for name in SETTINGS):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    kept = bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, -1))
    if kept:
        _return_in_forks()
    return kept


@functools.cache  # nothing that was registered can be taken back
def _return_in_forks() -> None:
    os.register_at_fork(after_in_child=_return_freed_memory)


def _return_freed_memory() -> None:
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in RETURNED.items():
        mallopt(parameter, value)
