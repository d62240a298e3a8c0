"""What all routes share: the service, and the description of their errors."""

from typing import Annotated, Any

from fastapi import Depends, Request

from .errors import DESCRIPTIONS, RequestError
from .schemas import Error
from .service import Service


def service_of(request: Request) -> Service:
    """Return the service of the application."""
    return request.app.state.service


ServiceOf = Annotated[Service, Depends(service_of)]


def errors(*statuses: int, valid: bool = False) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route.

    Args:
        statuses (int): Beside those that every route has.
        valid (bool): Whether there is nothing in a request that can be invalid.

    Examples:
        >>> sorted(errors(404))
        [400, 403, 404, 408, 413, 422, 500]
    """
    common = (400, 403, 500) if valid else (400, 403, 408, 413, 422, 500)
    return {status: dict(model=Error, description=DESCRIPTIONS[status]) for status in (*common, *statuses)}


def within(number: int, most: int, unit: str, field: str) -> None:
    """Refuse a number above a limit of this server, which may be lower than that of the schemas.

    Raises:
        RequestError: With status 422 if it is.

    Examples:
        >>> within(100, 100, 'answers', 'top')
    """
    if number > most:
        raise RequestError(422, f'expected at most {most} {unit}, got {number}', field)
