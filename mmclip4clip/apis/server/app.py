"""The application: routes, checks, errors, and the end of the service."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from ...version import __version__
from . import page_routes, search_routes, upload_routes, video_routes
from .errors import add_error_handlers
from .guard import Guard
from .service import Service

DESCRIPTION = (
    'Search the videos of an index by text, image and video. Times are in seconds. Videos are named by '
    'identifiers that answers have, never by paths. Errors are {"error": {"message": ..., "field": ...}}.'
)
CLEAN_EVERY = 60  # seconds between two looks for old uploads


def create_app(service: Service, hosts: Collection[str] | None = None) -> FastAPI:
    """Create the application that serves an index: the page and the HTTP API.

    Args:
        service (Service): The index. It is closed when the application ends.
        hosts (Collection[str], optional): Names under which the server may be asked, without ports. None
            accepts every name, and then pages of other sites can ask it (DNS rebinding).

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmclip4clip.apis.server import Limits
        >>> create_app(SimpleNamespace(limits=Limits())).title  # a stand-in for a service
        'mmclip4clip'
        >>> import mmclip4clip, uvicorn  # doctest: +SKIP
        >>> service = Service('index', lambda: mmclip4clip.open_index('index'))  # doctest: +SKIP
        >>> uvicorn.run(create_app(service, ['localhost', '127.0.0.1']), port=7860)  # doctest: +SKIP
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        cleaning = asyncio.create_task(clean(service))
        try:
            yield
        finally:
            cleaning.cancel()
            with suppress(asyncio.CancelledError):
                await cleaning
            await asyncio.to_thread(service.close)

    app = FastAPI(
        title='mmclip4clip',
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # these load scripts from other sites
        redoc_url=None,
    )
    app.state.service, app.state.coming = service, asyncio.Semaphore(upload_routes.UPLOADING)
    app.add_middleware(Guard, hosts=hosts, limits=service.limits)
    add_error_handlers(app)
    for routes in (page_routes, search_routes, upload_routes, video_routes):
        app.include_router(routes.router)
    app.mount('/static', StaticFiles(directory=page_routes.PAGE), name='static')
    return app


async def clean(service: Service) -> None:
    """Delete old uploads from time to time."""
    while True:
        await asyncio.sleep(CLEAN_EVERY)
        await asyncio.to_thread(service.uploads.delete_old)
