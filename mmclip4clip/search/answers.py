"""What a search returns, why, and what limits it."""

from typing import Any, NamedTuple


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


class FrameScore(NamedTuple):
    """A sampled frame of a video.

    Args:
        time (float): Seconds from the first frame of the video.
        score (float): Score of the frame for the query, see :func:`mmclip4clip.apis.explain`.
        weight (float | None): Weight of the frame in the score of the video; None if it has none.

    Examples:
        >>> FrameScore(2.5, 0.31, None).time
        2.5
    """

    time: float
    score: float
    weight: float | None


class WordMatch(NamedTuple):
    """A word of a query and its best frame.

    Args:
        word (str): The word; ``'[start]'`` and ``'[end]'`` are the tokens around a text. The last one of CLIP
            has read the whole text.
        frame (int): Position of its best frame in :attr:`Reasons.frames`.
        score (float): Mean of the best cosines of its tokens, by their weights.
        weight (float): Sum of the weights of its tokens, times the weight of its term in the query.

    Examples:
        >>> WordMatch('dog', 2, 0.31, 0.5).word
        'dog'
    """

    word: str
    frame: int
    score: float
    weight: float


class Reasons(NamedTuple):
    """Why a video, or a range of it, has its score for a query.

    Args:
        score (float): Score of the video.
        frames (list[FrameScore]): The sampled frames in order. A frame of a short video may come repeatedly.
        words (list[WordMatch] | None): The words in order, for heads that compare them, such as WTI.

    Examples:
        >>> reasons = Reasons(0.4, [FrameScore(0.0, 0.2, None), FrameScore(1.5, 0.6, None)], None)
        >>> reasons.best.time
        1.5
        >>> reasons.as_json()['frames'][0]
        {'time': 0.0, 'score': 0.2, 'weight': None}
    """

    score: float
    frames: list[FrameScore]
    words: list[WordMatch] | None

    @property
    def best(self) -> FrameScore:
        """The first frame with the highest score."""
        return max(self.frames, key=lambda frame: frame.score)

    def as_json(self) -> dict[str, Any]:
        """Return plain values with the same names."""
        words = None if self.words is None else [word._asdict() for word in self.words]
        return dict(score=self.score, frames=[frame._asdict() for frame in self.frames], words=words)


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
