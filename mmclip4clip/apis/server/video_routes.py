"""Routes of the files of videos, and of their frames."""

from typing import Annotated, Any, BinaryIO

import numpy as np
from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse, Response

from ...search.catalog import CatalogFile
from .errors import RequestError
from .limits import Limits
from .media_types import TYPES, media_type
from .route_errors import ServiceOf, errors, within
from .service import Service

router = APIRouter(prefix='/videos', tags=['videos'])
Identifier = Annotated[str, Path(description='Of the video, as answers have it.')]
Seconds = Annotated[float, Query(ge=0, le=1e9, allow_inf_nan=False, description='In seconds.')]
Height = Annotated[int, Query(ge=16, le=Limits.height, description='In pixels; smaller videos keep theirs.')]
BINARY = dict(schema=dict(type='string', format='binary'))
FILE = dict.fromkeys(sorted({*TYPES.values(), 'application/octet-stream'}), BINARY)
JPEG: dict[str, Any] = dict(content={'image/jpeg': BINARY}, description='The picture.')
FRAME_HEADERS = {'Cache-Control': 'private, max-age=300'}


class OpenFileResponse(FileResponse):
    """Serves an open file, and closes it, so that it is the file that was checked, whatever its path is now.

    Args:
        file (BinaryIO): The file.
        name (str): Its name for the browser.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        super().__init__(
            f'/proc/self/fd/{file.fileno()}',
            media_type=media_type(name),
            filename=name,
            content_disposition_type='inline',
            headers={'Cache-Control': 'private, no-cache'},
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the file, or the range of it that the request is for."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


@router.head('/{id}', include_in_schema=False)
@router.get(
    '/{id}',
    response_class=FileResponse,
    summary='Play a video',
    responses={
        200: dict(content=FILE, description='The file.'),
        206: dict(content=FILE, description='The part of the file that `Range` names.'),
        **errors(404, 503),
        416: dict(description='`Range` names no part of the file.', content={'text/plain': {}}),
    },
)
async def play(id: Identifier, service: ServiceOf) -> Response:
    """Return the file of a video, or a part of it, while it is what was indexed."""
    file = await service.files.find(id)
    return OpenFileResponse(await service.files.open(file), file.path.rpartition('/')[2])


@router.get(
    '/{id}/frame',
    response_class=Response,
    summary='Show a frame',
    responses={200: JPEG, **errors(404, 503)},
)
async def frame(id: Identifier, service: ServiceOf, time: Seconds = 0, height: Height = 180) -> Response:
    """Return the frame that is shown at a time, as JPEG; after the end, the last one."""
    return await picture(await service.files.find(id), [time], height, service)


@router.get(
    '/{id}/strip',
    response_class=Response,
    summary='Show frames side by side',
    responses={200: JPEG, **errors(404, 503)},
)
async def strip(
    id: Identifier,
    service: ServiceOf,
    start: Seconds = 0,
    end: Annotated[float | None, Query(ge=0, le=1e9, description='By default the end of the video.')] = None,
    frames: Annotated[int, Query(ge=1, le=Limits.strip_frames, description='Number of frames.')] = 5,
    height: Height = 96,
) -> Response:
    """Return evenly spaced frames from the start to the end of a range, as one JPEG."""
    within(frames, service.limits.strip_frames, 'frames', 'frames')
    file = await service.files.find(id)
    end = file.duration if end is None else min(end, file.duration)
    if start and start >= end:
        raise RequestError(422, f'the range must start before its end at {end:g} s', 'start')
    last = max(start, end - 1e-3)  # a frame that begins at the end belongs to what follows
    return await picture(file, np.linspace(start, last, frames).round(3).tolist(), height, service)


async def picture(file: CatalogFile, times: list[float], height: int, service: Service) -> Response:
    """Return frames of a video as JPEG.

    Raises:
        RequestError: If the file is not what was indexed, or too many others wait.
    """
    within(height, service.limits.height, 'pixels', 'height')

    def check() -> None:
        service.files.open_checked(file).close()

    key = (file.path, file.stamp, tuple(times), height)
    content = await service.frames.jpeg(key, file.path, times, height, check)
    return Response(content, media_type='image/jpeg', headers=FRAME_HEADERS)
