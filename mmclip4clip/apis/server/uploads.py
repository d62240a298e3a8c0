"""Uploaded images and videos, in a private folder, for a while."""

import contextlib
import os
import secrets
import shutil
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image

from ...datasets.video_readers import VideoReadError
from ..index_encoder import read_image
from .errors import RequestError
from .frames import FrameReader
from .limits import MIB, Limits
from .media_types import HEAD_BYTES, IMAGE_FORMATS, kind_of
from .private_folder import delete_private_folder, make_private_folder

BLOCK = 2**20
MAX_SIDE = 2048  # of a stored image
GONE = 'there is no such upload, or it is too old: upload the file again'


class Upload(NamedTuple):
    """An uploaded file.

    Args:
        token (str): Names it in requests; it cannot be guessed.
        kind (str): ``'image'`` or ``'video'``.
        path (Path): The file.
        size (int): In bytes.
        expires (float): When it is deleted, in seconds since 1970.

    Examples:
        >>> Upload('t', 'image', Path('t.png'), 10, 0.0).kind
        'image'
    """

    token: str
    kind: str
    path: Path
    size: int
    expires: float


class UploadStore:
    """Keeps uploaded files in a temporary folder that only this user can read.

    The type of a file is that of its content. An image is decoded and written again, so that nothing else
    of it is kept; of a video some frames are decoded, within the limits of time and memory.

    Args:
        limits (Limits): Size, number and age.
        frames (FrameReader): Decodes videos.

    Examples:
        >>> store = UploadStore(Limits(), FrameReader(Limits()))
        >>> store.close()
    """

    def __init__(self, limits: Limits, frames: FrameReader) -> None:
        self.limits, self._frames = limits, frames
        self._folder = make_private_folder()
        self._end = weakref.finalize(self, delete_private_folder, self._folder)  # also if nobody closes it
        self._uploads: dict[str, Upload] = {}
        self._lock = threading.Lock()
        self._coming = 0

    def add(self, file: BinaryIO, size: int) -> Upload:
        """Keep a file, after its content was checked. Blocks while it is decoded.

        Raises:
            RequestError: With status 415 if it is no image or video, or cannot be decoded, 413 if it is too
                large, and 429 if there are too many files.
        """
        if size > self.limits.upload_bytes:
            raise RequestError(413, f'an upload has at most {self.limits.upload_bytes // MIB} MiB', 'file')
        kind = kind_of(file.read(HEAD_BYTES))
        file.seek(0)
        if kind is None:
            raise RequestError(415, 'the file is neither an image nor a video, by its content', 'file')
        self._reserve(size)
        token = secrets.token_urlsafe(18)
        path = self._folder / f'{token}.{"png" if kind == "image" else "mp4"}'
        try:
            if kind == 'image':
                self._keep_image(file, path)
            else:
                self._keep_video(file, path)
            upload = Upload(token, kind, path, path.stat().st_size, time.time() + self.limits.upload_seconds)
            with self._lock:
                self._uploads[token] = upload
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            with self._lock:
                self._coming -= 1
        return upload

    def get(self, token: str, field: str = 'token') -> Upload:
        """Return an upload.

        Raises:
            RequestError: With status 404 if it is unknown or too old, or its file has been deleted.
        """
        self.delete_old()
        upload = self._uploads.get(token)
        if upload is None or not upload.path.is_file():
            raise RequestError(404, GONE, field)
        return upload

    def check_there(self, paths: Iterable[str]) -> None:
        """Raise an error if a file of this store has been deleted while a request waited.

        Args:
            paths (Iterable[str]): Files of a request; those that are no uploads are ignored.

        Raises:
            RequestError: With status 404.
        """
        for path in map(Path, paths):
            if path.parent == self._folder and not path.is_file():
                raise RequestError(404, GONE)

    def delete_old(self) -> None:
        """Delete the files whose time is over."""
        now = time.time()
        with self._lock:
            for upload in [upload for upload in self._uploads.values() if upload.expires <= now]:
                del self._uploads[upload.token]
                upload.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete all files."""
        self._end()

    def _reserve(self, size: int) -> None:
        """Count a file that comes, or refuse it."""
        self.delete_old()
        with self._lock:
            total = sum(upload.size for upload in self._uploads.values()) + size
            if len(self._uploads) + self._coming >= self.limits.uploads or total > self.limits.uploads_bytes:
                oldest = min((upload.expires for upload in self._uploads.values()), default=time.time() + 60)
                wait = max(1, int(oldest - time.time()) + 1)
                raise RequestError(429, 'there are too many uploads: try again later', 'file', wait)
            self._coming += 1

    def _keep_image(self, file: BinaryIO, path: Path) -> None:
        """Write the pixels of an image as PNG, upright and not larger than a model needs."""
        source = path.with_suffix('.source')
        try:
            with Image.open(file, formats=IMAGE_FORMATS) as image:  # reads its head alone
                self._check_pixels(*image.size)
            file.seek(0)
            _copy(file, source)
            pixels = Image.fromarray(read_image(str(source)))
            pixels.thumbnail((MAX_SIDE, MAX_SIDE))
            pixels.save(path, compress_level=1)
        except Image.DecompressionBombError as error:
            raise RequestError(413, f'the image is too large: {error}', 'file') from error
        except (OSError, SyntaxError, ValueError, VideoReadError) as error:
            raise RequestError(415, 'the image cannot be read', 'file') from error
        finally:
            source.unlink(missing_ok=True)

    def _check_pixels(self, width: int, height: int) -> None:
        limit = self.limits.image_pixels
        if width * height > limit:
            raise RequestError(413, f'an image has at most {limit:,} pixels, got {width} x {height}', 'file')

    def _keep_video(self, file: BinaryIO, path: Path) -> None:
        _copy(file, path)
        try:
            self._frames.check(str(path))
        except VideoReadError as error:
            raise RequestError(415, 'the video cannot be read', 'file') from error


def _copy(file: BinaryIO, path: Path) -> None:
    with contextlib.closing(open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb')) as kept:
        shutil.copyfileobj(file, kept, BLOCK)
