"""The subcommand ``serve``: the page and the HTTP API of an index."""

import signal
import socket
import sys
import webbrowser
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import Any

from .. import video_index
from .printing import Printer

MISSING = "the server needs the packages of an extra: pip install 'mmclip4clip[serve]'"
SHUTDOWN = 5  # seconds in which open requests may end
CONNECTIONS = 500


def run_serve(args: Namespace, printer: Printer) -> int:
    """Serve an index until Ctrl-C or SIGTERM.

    Raises:
        ImportError: If packages are missing.
        OSError: If the port is in use.
        FileNotFoundError: If there is no index.
    """
    try:
        import python_multipart  # noqa: F401  which FastAPI needs for uploads
        import uvicorn

        from ..server import Limits, Service, create_app
    except ImportError as error:
        raise ImportError(MISSING) from error
    folder = Path(args.index or video_index.default_index())
    signal.signal(signal.SIGTERM, end)
    with closing(listen(args.host, args.port)) as listening:  # before the model, which takes seconds
        hosts = names_of(args)
        limits = Limits(upload_bytes=int(args.max_upload * 2**20))
        service = Service(folder, lambda: video_index.open_index(folder, args.model, args.device), limits)
        address = address_of(listening, args.host)
        if not is_local(args.host):
            print(warning(address), file=sys.stderr)
        config = uvicorn.Config(
            create_app(service, hosts),
            log_level='warning',
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN,
        )
        server = build_server(uvicorn, config, printer, address, args.open)
        server.run(sockets=[listening])
    return 0 if server.started else 1


def build_server(uvicorn: Any, config: Any, printer: Printer, address: str, opens: bool) -> Any:
    """Return a server that prints its address when it answers, and may open it in a browser."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            printer.print_line(f'serving at {address} - Ctrl-C ends')
            printer.stream.flush()
            if opens:
                webbrowser.open(address)

    return Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Open the port.

    Raises:
        OSError: If it is in use, or the address is not one of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)  # two processes can bind a port while none of them listens
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise OSError(
            f'cannot listen at {host} port {port}: {error.strerror or error}; --port takes another one'
        ) from error
    return listening


def address_of(listening: socket.socket, host: str) -> str:
    """Return the address for a browser on this machine."""
    shown = 'localhost' if host in ('', '0.0.0.0', '::') else host
    shown = f'[{shown}]' if ':' in shown else shown
    return f'http://{shown}:{listening.getsockname()[1]}/'


def names_of(args: Namespace) -> set[str] | None:
    """Return the names under which the server may be asked; None for all names.

    An address of a network has names that this machine does not know, so all are accepted unless some are
    given.
    """
    local = {'localhost', '127.0.0.1', '::1', args.host}
    if args.allow_host:
        return local | set(args.allow_host)
    return local if is_local(args.host) else None


def is_local(host: str) -> bool:
    """Return whether an address can be reached from this machine alone.

    Examples:
        >>> is_local('127.0.0.1'), is_local('0.0.0.0')
        (True, False)
    """
    return host in ('localhost', '::1') or host.startswith('127.')


def warning(address: str) -> str:
    """Tell what others can do with a server of a network."""
    return (
        f'mmclip4clip: WARNING: other machines can reach {address}. Whoever does can search this index, play '
        'its videos, upload files and use the processor. There is no password: put the server behind a proxy '
        'that asks for one, or leave --host out'
    )


def end(*_: Any) -> None:
    """Raise SystemExit at SIGTERM, so that everything is closed."""
    raise SystemExit(0)
