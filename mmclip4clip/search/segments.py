"""Segments of videos to index: fixed windows, shots, or whole videos only."""

import logging
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ..logs import print_log

SMALL = 1e-3  # seconds; shorter remainders are no segment


class Segment(NamedTuple):
    """A part of a video.

    Args:
        start (float, optional): In seconds; None, together with ``end``, for the whole video.
        end (float, optional): In seconds.

    Examples:
        >>> Segment(), Segment(5, 15)
        (Segment(start=None, end=None), Segment(start=5, end=15))
    """

    start: float | None = None
    end: float | None = None


WHOLE = Segment()


@dataclass(frozen=True)
class FixedWindows:
    """The whole video, and windows of equal length that overlap.

    The last window ends with the video. A video that is no longer than a window has no windows.

    Args:
        length (float): Seconds per window.
        stride (float): Seconds from one start to the next.

    Raises:
        ValueError: If they are not positive, or windows would leave gaps.

    Examples:
        >>> [tuple(segment) for segment in FixedWindows(10, 5)('v.mp4', 17.5)]
        [(None, None), (0.0, 10.0), (5.0, 15.0), (10.0, 17.5)]
    """

    length: float = 10.0
    stride: float = 5.0

    def __post_init__(self) -> None:
        for key in ('length', 'stride'):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float('inf'):
                raise ValueError(f'{key} must be positive seconds, got {value!r}')
        if self.stride > self.length:
            raise ValueError(
                f'stride={self.stride} s is larger than length={self.length} s: seconds between two windows '
                'would be in neither'
            )

    def __call__(self, filename: str, duration: float) -> list[Segment]:
        """Return the segments of a video that lasts ``duration`` seconds."""
        segments, number, end = [WHOLE], 0, 0.0
        while duration > self.length + SMALL and end < duration - SMALL:
            start = number * float(self.stride)
            end = start + self.length
            end = duration if end > duration - SMALL else end
            segments.append(Segment(start, end))
            number += 1
        return segments


@dataclass(frozen=True)
class Shots:
    """The whole video, and its shots, found by PySceneDetect from changes of the picture.

    Finding shots decodes all frames once more, in a smaller size. A video of a single shot is not divided,
    unless it is long.

    Args:
        max_length (float): Longer shots are divided into equal parts, in seconds.
        min_length (float): Shorter shots are joined with the one before, in seconds.

    Raises:
        ImportError: If PySceneDetect is not installed.

    Examples:
        >>> [tuple(segment) for segment in divide_shots([(0.0, 4.0), (4.0, 24.0)], 10)]
        [(0.0, 4.0), (4.0, 14.0), (14.0, 24.0)]
    """

    max_length: float = 30.0
    min_length: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.min_length < self.max_length:
            raise ValueError(f'expected 0 < min_length < max_length, got {self}')
        try:
            import scenedetect  # noqa: F401
        except ImportError as error:
            raise ImportError("shots need PySceneDetect: pip install 'mmclip4clip[shots]'") from error

    def __call__(self, filename: str, duration: float) -> list[Segment]:
        """Return the segments of a video file that lasts ``duration`` seconds."""
        try:
            shots = detect_shots(filename, duration, self.min_length)
        except (
            Exception
        ) as error:  # of any reader of PySceneDetect; DecodeVideo may read the file all the same
            print_log(
                f'{filename} is divided by time, because PySceneDetect finds no shots in it: {error!r}',
                logger='current',
                level=logging.WARNING,
            )
            shots = [Segment(0.0, duration)]
        parts = divide_shots(shots, self.max_length)
        return [WHOLE, *(parts if len(parts) > 1 else ())]


def detect_shots(filename: str, duration: float, min_length: float) -> list[Segment]:
    """Find the shots of a file with PySceneDetect; they cover it without gaps."""
    from scenedetect import AdaptiveDetector, detect

    found = detect(filename, AdaptiveDetector(min_scene_len=f'{min_length}s'))
    starts = [0.0, *(start.get_seconds() for start, _ in found[1:])]
    starts = [start for start in starts if start < duration - SMALL]
    return [Segment(*span) for span in zip(starts, [*starts[1:], duration])]


def divide_shots(shots: list[Any], max_length: float) -> list[Segment]:
    """Divide long shots, (start, end) in seconds, into equal parts of at most ``max_length`` seconds."""
    parts = []
    for start, end in shots:
        count = max(1, -int(-(end - start - SMALL) // max_length))
        edges = [start + (end - start) * number / count for number in range(count + 1)]
        parts += [Segment(*span) for span in zip(edges, edges[1:])]
    return parts


@dataclass(frozen=True)
class WholeVideos:
    """Whole videos only.

    Examples:
        >>> WholeVideos()('v.mp4', 60.0)
        [Segment(start=None, end=None)]
    """

    def __call__(self, filename: str, duration: float) -> list[Segment]:
        """Return the segment of the whole video."""
        return [WHOLE]


Segmenter = FixedWindows | Shots | WholeVideos
KINDS = dict(windows=FixedWindows, shots=Shots, whole=WholeVideos)


def describe_segments(segmenter: Segmenter) -> dict[str, Any]:
    """Describe the segments as plain data, for the settings of an index.

    Examples:
        >>> describe_segments(FixedWindows(8, 4))
        {'kind': 'windows', 'length': 8, 'stride': 4}
    """
    kind = next(name for name, cls in KINDS.items() if isinstance(segmenter, cls))
    return dict(kind=kind, **asdict(segmenter))


def build_segments(settings: dict[str, Any]) -> Segmenter:
    """Return the segments that :func:`describe_segments` described.

    Raises:
        ValueError: If the kind is unknown, of a later version.
    """
    arguments = dict(settings)
    kind = arguments.pop('kind', None)
    if kind not in KINDS:
        raise ValueError(f'segments of kind {kind!r} are unknown, expected one of {sorted(KINDS)}')
    return KINDS[kind](**arguments)
