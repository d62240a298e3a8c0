"""What a search returns, and what limits it."""

from typing import NamedTuple


class Answer(NamedTuple):
    """A video that a search found, and its best moment.

    Args:
        score (float): Higher is better.
        filename (str): Absolute path.
        start (float, optional): Start of the moment in seconds; None for a whole video.
        end (float, optional): End of the moment in seconds.
        duration (float): Of the file in seconds.

    Examples:
        >>> Answer(0.31, '/videos/a.mp4', 5.0, 15.0, 60.0).end
        15.0
    """

    score: float
    filename: str
    start: float | None
    end: float | None
    duration: float


class Filter(NamedTuple):
    """Videos to search.

    Args:
        folder (str, optional): Absolute path; only files in it and below.
        min_duration (float, optional): In seconds, of the file.
        max_duration (float, optional): In seconds, of the file.

    Examples:
        >>> [Filter(folder).accepts('/videos/new/a.mp4', 60.0) for folder in ('/videos', '/vid')]
        [True, False]
    """

    folder: str | None = None
    min_duration: float | None = None
    max_duration: float | None = None

    def accepts(self, filename: str, duration: float) -> bool:
        """Return whether a file passes."""
        return (
            (self.folder is None or filename.startswith(self.folder.rstrip('/') + '/'))
            and (self.min_duration is None or duration >= self.min_duration)
            and (self.max_duration is None or duration <= self.max_duration)
        )


EVERYTHING = Filter()
