"""Errors of reading videos."""

import re


class VideoReadError(RuntimeError):
    """A video that cannot be read. ``DecodeVideo`` raises it with the file and the error of each backend.

    Examples:
        >>> from mmclip4clip.datasets.video_readers import VideoReadError, open_reader
        >>> try:
        ...     open_reader('pyav', '/dev/null')
        ... except VideoReadError as error:
        ...     print('unreadable')
        unreadable
    """


class VideoUnavailableError(VideoReadError):
    """A video that storage or machine cannot provide at the moment. It may be intact.

    Examples:
        >>> from mmclip4clip.datasets.video_readers import VideoUnavailableError, open_reader
        >>> try:
        ...     open_reader('pyav', '/no/such/video.mp4')
        ... except VideoUnavailableError:
        ...     print('try again later')
        try again later
    """


class ReaderStalledError(VideoUnavailableError):
    """A backend that was idle for too long. Another backend may read the video.

    Examples:
        >>> from mmclip4clip.datasets.video_readers import ReaderStalledError, VideoUnavailableError
        >>> issubclass(ReaderStalledError, VideoUnavailableError)  # the video may be intact
        True
    """


class NoVideoError(VideoReadError):
    """A file without video: only sound, a picture, or no frame at all.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> from mmclip4clip.datasets.video_readers import NoVideoError, open_reader
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new('RGB', (64, 48)).save(f'{folder}/picture.png')
        ...     try:
        ...         open_reader('pyav', f'{folder}/picture.png')
        ...     except NoVideoError as error:
        ...         print(error)
        it is a picture (png_pipe)
    """


def describe(error: BaseException) -> str:
    """Summarize an error in one short line."""
    lines = (getattr(error, 'strerror', None) or str(error)).strip().splitlines()
    if not lines:
        return type(error).__name__
    message = re.sub(r'\[[\d:]+\] \S+: ', '', lines[0])  # strip decord's time and source location
    return f'{type(error).__name__}: {message[:200]}'
