"""Route of uploads."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile

from .errors import RequestError
from .route_errors import ServiceOf, errors
from .schemas import StoredUpload

router = APIRouter(tags=['uploads'])
UPLOADING = 4  # uploads that come at once
SECONDS = 600  # for one to come
BODY: dict[str, Any] = dict(
    requestBody=dict(
        required=True,
        content={
            'multipart/form-data': dict(
                schema=dict(
                    type='object',
                    required=['file'],
                    properties=dict(file=dict(type='string', format='binary')),
                )
            )
        },
    )
)


@router.post(
    '/uploads',
    status_code=201,
    summary='Upload an image or a video to search with',
    openapi_extra=BODY,
    responses=errors(415, 429, 503),
)
async def upload(request: Request, service: ServiceOf) -> StoredUpload:
    """Keep one file, the part `file` of a form, for an hour or until the server ends.

    Its type is that of its content, not of its name.
    """
    coming = request.app.state.coming
    if coming.locked():
        raise RequestError(503, 'too many uploads come at once: try again', retry_after=2)
    async with coming:
        try:
            return await asyncio.wait_for(receive(request, service), SECONDS)
        except asyncio.TimeoutError as error:
            raise RequestError(408, 'the upload takes too long', 'file') from error


async def receive(request: Request, service: ServiceOf) -> StoredUpload:
    """Read the form, which goes to disk beyond a megabyte, and keep its file."""
    kind = request.headers.get('content-type', '').partition(';')[0].strip().lower()
    if kind != 'multipart/form-data':
        raise RequestError(415, 'expected a form of the type multipart/form-data', 'file')
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get('file')
        if not isinstance(file, UploadFile):
            raise RequestError(422, 'expected one file in the part "file" of the form', 'file')
        kept = await service.upload_pool.run(service.uploads.add, file.file, file.size or 0)
    return StoredUpload(token=kept.token, kind=kept.kind, expires=kept.expires)
