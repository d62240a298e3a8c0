"""The HTTP API and the page of an index; needs the packages of the extra ``serve``."""

from .app import create_app
from .limits import Limits
from .service import Service

__all__ = ['Limits', 'Service', 'create_app']
