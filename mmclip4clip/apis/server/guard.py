"""Checks before any route: who asks, under which name, and how much; and the headers of all answers."""

import asyncio
import logging
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from ...logs import print_log
from .errors import DESCRIPTIONS, error_response
from .limits import Limits

LOCAL_NAMES = frozenset({'localhost', '127.0.0.1', '::1'})
FORM_BYTES = 64 * 1024  # of a form around its file
HEADERS = {
    'Content-Security-Policy': "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
}


class Guard:
    """Refuses requests that are not meant for this server, and bounds the others.

    A page of another site can let its own name point to this machine, or send forms here. So the name of the
    server (``Host``) must be a known one, and requests that change something must not come from a page of
    another site. Nothing is read beyond the limits of size.

    Args:
        app (ASGI application): What answers.
        hosts (Collection[str], optional): Names of the server, without ports; None accepts every name.
        limits (Limits): Sizes.

    Examples:
        >>> guarded = Guard(app=None, hosts=['LOCALHOST'], limits=Limits())
        >>> sorted(guarded.hosts)
        ['localhost']
    """

    def __init__(self, app: Any, hosts: Collection[str] | None, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        headers, started = Headers(scope=scope), False

        async def send_guarded(message: Any) -> None:
            nonlocal started
            if message['type'] == 'http.response.start':
                started = True
                answered = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answered[name] = value
                is_static = scope['path'].startswith('/static/')
                answered.setdefault('Cache-Control', 'no-cache' if is_static else 'no-store')
            await send(message)

        try:
            refusal = self.refuse(scope, headers)
            if refusal is None:
                bounded = BoundedBody(receive, self._max_bytes(scope), self.limits.stall_seconds)
                await self.app(scope, bounded, send_guarded)
                return
        except Exception as error:
            print_log(f'{scope["method"]} {scope["path"]!a}: {error!r}', 'current', logging.ERROR)
            if started:
                raise
            refusal = error_response(500, DESCRIPTIONS[500])
        await refusal(scope, receive, send_guarded)

    def refuse(self, scope: Any, headers: Headers) -> Any:
        """Return the answer to a request that must not be answered; None if it may be."""
        host = headers.get('host', '')
        if self.hosts is not None and host_name(host) not in self.hosts:
            message = 'the server is not known by this name: it is an option of the server (--allow-host)'
            return error_response(400, message, 'Host')
        if scope['method'] not in ('GET', 'HEAD', 'OPTIONS'):
            origin = headers.get('origin')
            foreign = origin is not None and urlsplit_or_none(origin) != host.lower()
            if foreign or headers.get('sec-fetch-site') in ('cross-site', 'same-site'):
                return error_response(403, DESCRIPTIONS[403], 'Origin')
        length = headers.get('content-length', '0')
        if length.isdigit() and int(length[:20]) > self._max_bytes(scope):
            return error_response(413, f'expected at most {self._max_bytes(scope)} bytes, got {length[:20]}')
        return None

    def _max_bytes(self, scope: Any) -> int:
        is_upload = scope['path'] == '/uploads'
        return self.limits.upload_bytes + FORM_BYTES if is_upload else self.limits.body_bytes


class BoundedBody:
    """Receives the body of a request, and stops at a number of bytes, or if nothing comes for a while.

    Args:
        receive (Callable): Of ASGI.
        max_bytes (int): Of the body.
        seconds (float): To wait for the next part of the body.

    Raises:
        HTTPException: With status 413, when there are more bytes, and 408, when none come.
    """

    def __init__(self, receive: Any, max_bytes: int, seconds: float) -> None:
        self.receive, self.left, self.max_bytes, self.seconds = receive, max_bytes, max_bytes, seconds
        self._complete = False

    async def __call__(self) -> Any:
        """Receive the next part."""
        if self._complete:  # waits for the end of the connection
            return await self.receive()
        try:
            message = await asyncio.wait_for(self.receive(), self.seconds)
        except asyncio.TimeoutError as error:
            message = f'the request stalls: nothing came for {self.seconds:g} s'
            raise HTTPException(408, message, {'Connection': 'close'}) from error  # the rest may never come
        self._complete = not message.get('more_body', False)
        self.left -= len(message.get('body', b''))
        if self.left < 0:
            raise HTTPException(413, f'expected at most {self.max_bytes} bytes')
        return message


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without the port, '' if it is none.

    Examples:
        >>> host_name('LocalHost:7860'), host_name('[::1]:7860'), host_name('a@b')
        ('localhost', '::1', '')
    """
    try:
        parts = urlsplit(f'//{host}')
        return '' if parts.netloc != host or '@' in host else (parts.hostname or '').rstrip('.')
    except ValueError:
        return ''


def urlsplit_or_none(origin: str) -> str | None:
    """Return host and port of an origin; None if it has none, as ``null``."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
