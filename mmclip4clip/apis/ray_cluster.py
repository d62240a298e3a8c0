"""Connect to a Ray cluster, or start one on this machine for a while."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

LOCAL, LOOPBACK = 'local', '127.0.0.1'
LONGEST_FOLDER = 28  # characters: the path of a socket has 107, and Ray adds up to 79
OBJECT_STORE = 256 * 2**20  # bytes; results are small, and videos never pass through it
# Read by Ray when it is imported: no usage reports, no progress bars and internal messages on stderr, and no
# new cluster if a thread of Ray Data still asks for results after an interrupted update.
ENVIRONMENT = dict(
    RAY_USAGE_STATS_ENABLED='0',
    RAY_DATA_DISABLE_PROGRESS_BARS='1',
    RAY_BACKEND_LOG_LEVEL='fatal',
    RAY_ENABLE_AUTO_CONNECT='0',
)
# So that a local cluster listens on 127.0.0.1 alone, which Ray does by itself on other systems than Linux.
LOCAL_ENVIRONMENT = dict(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER='0')


class RayClusterError(RuntimeError):
    """Raised if a Ray cluster cannot be reached, or a worker of it cannot do its work."""


def import_ray(address: str) -> Any:
    """Import Ray with its usage reports off.

    Raises:
        ImportError: If it is not installed.
        ValueError: If the address is of Ray Client.

    Examples:
        >>> import_ray('ray://host:10001')  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: 'ray://host:10001' is an address of Ray Client, which is not supported...
    """
    if address.startswith('ray://'):
        raise ValueError(
            f'{address!r} is an address of Ray Client, which is not supported: start the command on a '
            "machine of the cluster with the address 'auto', or with: ray job submit -- mmclip4clip index ..."
        )
    for key, value in {**ENVIRONMENT, **(LOCAL_ENVIRONMENT if address == LOCAL else {})}.items():
        os.environ.setdefault(key, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("many machines need Ray Data: pip install 'mmclip4clip[ray]'") from error
    return ray


def apply_environment(address: str) -> None:
    """Do what the variables do if Ray was imported before they were set."""
    with suppress(ImportError):  # of other versions; the address of a local cluster is checked
        from ray._private import auto_init_hook, ray_constants

        auto_init_hook.enable_auto_connect = False
        if address == LOCAL:
            ray_constants.ENABLE_RAY_CLUSTER = False


def temporary_folder() -> str:
    """Return where temporary files go: ``$TMPDIR``, or ``/tmp`` if its path is too long for Ray's sockets.

    Examples:
        >>> len(temporary_folder()) <= LONGEST_FOLDER
        True
    """
    folder = tempfile.gettempdir()
    return folder if len(folder) <= LONGEST_FOLDER else '/tmp'  # noqa: S108


@contextmanager
def ray_cluster(address: str, num_workers: int | None = None) -> Iterator[Any]:
    """Connect to a cluster, and disconnect at the end.

    A local cluster is reached from this machine alone, has no dashboard, and leaves no files. If this process
    is connected already, that connection is used and kept.

    Args:
        address (str): ``local`` starts a cluster on this machine; ``auto`` takes the one that runs on it, and
            ``HOST:PORT`` one that this machine is a part of.
        num_workers (int, optional): Workers that a local cluster has room for; by default one per CPU.

    Yields:
        module: Ray.

    Raises:
        ImportError: If Ray is not installed.
        RayClusterError: If the cluster cannot be reached.

    Examples:
        >>> with ray_cluster('local', 2) as ray:  # doctest: +SKIP
        ...     ray.cluster_resources()['CPU']
        2.0
    """
    ray = import_ray(address)
    if ray.is_initialized():
        yield ray
        return
    apply_environment(address)
    settings: dict[str, Any] = dict(address=address, log_to_driver=False, logging_level=logging.ERROR)
    place = temporary_folder()
    with tempfile.TemporaryDirectory(prefix='ray-', dir=place, ignore_cleanup_errors=True) as folder:
        if address == LOCAL:
            settings.update(
                num_cpus=num_workers or len(os.sched_getaffinity(0)),
                object_store_memory=OBJECT_STORE,
                include_dashboard=False,
                _temp_dir=folder,
                _system_config=dict(worker_niceness=0),  # this command may be niced itself
            )
        for handler in logging.getLogger('ray.data').handlers:
            handler.setLevel(logging.ERROR)
        try:
            ray.init(**settings)
        except Exception as error:  # of many kinds
            ray.shutdown()
            raise RayClusterError(f'the Ray cluster at {address!r} cannot be used: {error}') from error
        try:
            if address == LOCAL and ray.util.get_node_ip_address() != LOOPBACK:
                raise RayClusterError(f'this version of Ray does not keep to {LOOPBACK}: {ray.__version__}')
            yield ray
        finally:
            ray.shutdown()
