"""Why a video cannot be read."""

import re


class VideoReadError(RuntimeError):
    """A video that cannot be read; at the end of the way the message names the file and every cause."""


class VideoUnavailableError(VideoReadError):
    """A video that the storage does not give, or the machine does not read, now: it may be sound."""


class ReaderStalledError(VideoUnavailableError):
    """A backend that did nothing for too long; another backend may read the video."""


class NoVideoError(VideoReadError):
    """A file that can be opened, but holds no video: sound only, a picture, or no frame at all."""


def describe(error: BaseException) -> str:
    """Put an error into one short line."""
    lines = (getattr(error, 'strerror', None) or str(error)).strip().splitlines()
    if not lines:
        return type(error).__name__
    said = re.sub(r'\[[\d:]+\] \S+: ', '', lines[0])  # decord's time and place in its source
    return f'{type(error).__name__}: {said[:200]}'
