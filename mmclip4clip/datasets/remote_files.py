"""Video files at URLs, which are downloaded to be decoded."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

SCHEMES = ('http', 'https', 's3', 'gs', 'az', 'abfs', 'hdfs')
URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')


class RemoteFileError(OSError):
    """Raised if the file at a URL cannot be downloaded; that may pass by itself."""


def is_url(name: str) -> bool:
    """Return whether a name is a URL and not a path.

    Examples:
        >>> [is_url(name) for name in ('https://host/a.mp4', '/videos/a.mp4')]
        [True, False]
    """
    return URL.match(name) is not None


def resolve_name(name: str) -> str:
    """Return the absolute path without links; a URL stays as it is."""
    return name if is_url(name) else os.path.realpath(name)


def check_scheme(url: str) -> None:
    """Check that the files of a URL can be downloaded with what is installed.

    Raises:
        ValueError: If no URLs of this kind are read.
        ImportError: If it needs a package that is not installed.
    """
    scheme = url.split('://')[0].lower()
    if scheme not in SCHEMES:
        raise ValueError(f'{url!r} is a URL of the kind {scheme!r}, expected one of {", ".join(SCHEMES)}')
    import fsspec

    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        hint = "pip install 'mmclip4clip[ray]'" if scheme.startswith('http') else str(error)
        raise ImportError(f'{scheme} URLs need a package that is not installed: {hint}') from error


@contextmanager
def local_copy(name: str) -> Iterator[str]:
    """Provide a file on this machine: the path itself, or a temporary copy of what is at a URL.

    The copy is deleted at the end. Temporary files are in ``$TMPDIR``, and keep the ending of the name.

    Args:
        name (str): Path or URL.

    Raises:
        RemoteFileError: If the URL cannot be read.

    Examples:
        >>> with local_copy('/videos/a.mp4') as path:
        ...     path
        '/videos/a.mp4'
    """
    if not is_url(name):
        yield name
        return
    check_scheme(name)
    import fsspec

    ending = os.path.splitext(name.split('?')[0].split('#')[0])[1]
    with tempfile.TemporaryDirectory(prefix='mmclip4clip-') as folder:
        path = os.path.join(folder, f'video{ending}')
        try:
            files, remote = fsspec.core.url_to_fs(name)
            files.get_file(remote, path)
        except Exception as error:  # of any of the libraries behind fsspec
            raise RemoteFileError(f'{name} cannot be downloaded: {error!r}') from error
        yield path
