"""Routes of the page, the index and the description of the API."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse

from .api_page import describe_api
from .route_errors import ServiceOf, errors
from .schemas import Info, ServerLimits

PAGE = Path(__file__).parent / 'page'
router = APIRouter()


@router.get('/', include_in_schema=False)
async def page() -> FileResponse:
    """Return the page."""
    return FileResponse(PAGE / 'index.html', headers={'Cache-Control': 'no-cache'})


@router.get('/docs', include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """Describe the API for readers, without requests to other sites."""
    return HTMLResponse(describe_api(request.app.openapi()))


@router.get('/info', tags=['index'], summary='Describe the index', responses=errors(503, valid=True))
async def info(service: ServiceOf) -> Info:
    """Return the size of the index, its folders, what its model can do, and the limits of the server."""
    summary = await service.files.summary()
    limits = {name: getattr(service.limits, name) for name in ServerLimits.model_fields}
    return Info(
        name=service.folder.resolve().name,
        model=service.model_name,
        videos=summary.videos,
        segments=summary.segments,
        can_caption=service.can_caption,
        can_explain_words=service.explains_words,
        folders=summary.folders.names,
        limits=ServerLimits(**dict(limits, depth=service.depth)),
    )
