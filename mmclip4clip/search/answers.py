from typing import NamedTuple


class Answer(NamedTuple):
    """A video that a query found, with its best moment.

    Args:
        score (float): Similarity to the query, higher is better.
        filename (str): Absolute path of the file.
        start (float | None): Start of the moment in seconds; None for a whole video.
        end (float | None): End of the moment in seconds; None for a whole video.
        duration (float): Duration of the file in seconds.

    Examples:
        >>> Answer(0.31, '/videos/dog.mp4', 10.0, 20.0, 93.5).end
        20.0
    """

    score: float
    filename: str
    start: float | None
    end: float | None
    duration: float


class Filter(NamedTuple):
    """Conditions on the files that may be answers; None is no condition.

    Args:
        folder (str | None): Absolute path of a folder; files in it and in its subfolders.
        min_duration (float | None): Shortest duration of the file in seconds.
        max_duration (float | None): Longest duration of the file in seconds.

    Examples:
        >>> Filter(min_duration=60).folder is None
        True
    """

    folder: str | None = None
    min_duration: float | None = None
    max_duration: float | None = None
