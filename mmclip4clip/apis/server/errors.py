"""Errors of requests, and their one form in all answers."""

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ...datasets.video_readers.errors import VideoReadError
from ...logs import print_log
from ...search import QueryError, StoreError

DESCRIPTIONS = {
    400: 'The request is damaged.',
    403: 'The request comes from a page of another site.',
    404: 'There is no such video, upload or page.',
    405: 'The address has no such method.',
    408: 'The request stalls, or the upload takes too long.',
    413: 'The request is too large.',
    415: 'The file is no image or video that can be read.',
    422: 'A value is out of range, or the query cannot be understood.',
    429: 'There are too many uploads; `Retry-After` has seconds.',
    500: 'The server failed.',
    501: 'The model or the server cannot do this.',
    503: 'The server is busy; `Retry-After` has seconds.',
}


class RequestError(Exception):
    """A request that is refused.

    Args:
        status (int): The status of HTTP.
        message (str): What was expected, and what came.
        field (str, optional): The argument.
        retry_after (int, optional): Seconds until another try is useful.

    Examples:
        >>> RequestError(404, 'there is no such video', 'id').status
        404
    """

    def __init__(
        self, status: int, message: str, field: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.retry_after = status, message, field, retry_after


def error_content(message: str, field: str | None = None) -> dict[str, Any]:
    """Return the JSON of an error.

    Examples:
        >>> error_content('there is no such video', 'id')
        {'error': {'message': 'there is no such video', 'field': 'id'}}
    """
    return dict(error=dict(message=message) | ({} if field is None else dict(field=field)))


class ErrorResponse(JSONResponse):
    """The answer to a refused request, in ASCII, so that every text in a message can be sent."""

    def render(self, content: Any) -> bytes:
        """Encode the JSON."""
        return json.dumps(content).encode('ascii')


def error_response(
    status: int, message: str, field: str | None = None, headers: dict[str, str] | None = None
) -> ErrorResponse:
    """Return the answer to a refused request."""
    return ErrorResponse(error_content(message, field), status, headers)


def add_error_handlers(app: FastAPI) -> None:
    """Give all errors of an application one form.

    Args:
        app (FastAPI): The application.
    """
    app.add_exception_handler(RequestError, answer_request_error)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http_error)  # such as an unknown address
    app.add_exception_handler(QueryError, answer_query_error)
    app.add_exception_handler(VideoReadError, answer_read_error)
    app.add_exception_handler(FileNotFoundError, answer_gone)
    app.add_exception_handler(StoreError, answer_store_error)


async def answer_request_error(request: Request, error: Any) -> Response:
    """Answer a :class:`RequestError`."""
    headers = None if error.retry_after is None else {'Retry-After': str(error.retry_after)}
    return error_response(error.status, error.message, error.field, headers)


async def answer_invalid(request: Request, error: Any) -> Response:
    """Answer a request with a missing or invalid value."""
    first = error.errors()[0]
    place = [str(part) for part in first['loc'][1:]]  # after body, query or path
    is_json = first['type'] == 'json_invalid'
    field = None if is_json or not place else '.'.join(place)
    message = 'the body is no valid JSON' if is_json else first['msg']
    return error_response(400 if is_json else 422, message, field)


async def answer_http_error(request: Request, error: Any) -> Response:
    """Answer an error of the framework, such as an unknown address."""
    detail = str(error.detail)
    if detail == 'Not Found':
        detail = 'there is no such page'
    return error_response(error.status_code, detail, headers=error.headers)


async def answer_query_error(request: Request, error: Any) -> Response:
    """Answer a query that cannot be understood."""
    return error_response(422, str(error), 'query')


async def answer_read_error(request: Request, error: Any) -> Response:
    """Answer a request for a video that cannot be decoded; the message names a path, so it is for the log."""
    print_log(str(error), 'current', logging.WARNING)
    return error_response(422, 'the video cannot be read')


async def answer_gone(request: Request, error: Any) -> Response:
    """Answer a request for a video that was deleted since it was looked for."""
    print_log(str(error), 'current', logging.WARNING)
    return error_response(404, 'the video is not there any more')


async def answer_store_error(request: Request, error: Any) -> Response:
    """Answer a search while the store fails; its message names a server, so it is for the log alone."""
    print_log(str(error), 'current', logging.ERROR)
    return error_response(503, 'the index cannot be searched now', headers={'Retry-After': '5'})
