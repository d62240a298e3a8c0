"""The segments of video files, from the processes that decode them to the features of each file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..datasets.remote_files import local_copy
from ..datasets.video_readers.errors import VideoReadError, VideoUnavailableError

Window = tuple[float | None, float | None]


class PreparedSegments(NamedTuple):
    """Some segments of a video, prepared for the model.

    Args:
        packed (Any): Output of the pipeline, with U frames, each once.
        segments (list[tuple]): Start and end of each segment in seconds.
        positions (list[np.ndarray]): Positions of the frames of each segment, (T,).
        duration (float): Of the whole video in seconds.
        missing_frames (int): Number of frames at the end that cannot be decoded.
        times (np.ndarray): Seconds from the first frame of the video to each of the U frames, (U,).

    Examples:
        >>> PreparedSegments({}, [(None, None)], [np.arange(2)], 2.0).segments
        [(None, None)]
    """

    packed: Any
    segments: list[tuple[float | None, float | None]]
    positions: list[np.ndarray]
    duration: float
    missing_frames: int = 0
    times: np.ndarray = np.zeros(0)


class EncodedFile(NamedTuple):
    """The segments of a video file.

    Args:
        filename (str): The file.
        duration (float): In seconds; 0 if it cannot be read.
        segments (list[tuple]): Start and end of each segment in seconds; (None, None) is the whole video.
        features (dict | None): Features of the segments, with one row each.
        note (Any): What ``describe`` returned for the file.
        unreadable (str | None): Reason why it cannot be read.
        retry (bool): Whether the reason may pass by itself, such as storage that does not answer.
        missing_frames (int): Number of frames at the end that cannot be decoded.

    Examples:
        >>> EncodedFile('v.mp4', 2.0, [(None, None)], dict(video=np.ones((1, 4))), None).unreadable is None
        True
    """

    filename: str
    duration: float
    segments: list[Window]
    features: Any
    note: Any
    unreadable: str | None = None
    retry: bool = False
    missing_frames: int = 0


class FilePart(NamedTuple):
    """A chunk of a file, or its end: without ``prepared``."""

    filename: str
    prepared: PreparedSegments | None
    note: Any = None
    unreadable: str | None = None
    retry: bool = False


def read_parts(
    files: Sequence[str],
    prepare: Callable[[dict, Callable], Iterator[PreparedSegments]],
    plan: Callable,
    describe: Callable[[str], Any] | None = None,
) -> Iterator[FilePart]:
    """Decode the segments of files, chunk by chunk; the last part of each file has no chunk.

    Args:
        files (Sequence[str]): Paths, and URLs.
        prepare (Callable): Decodes the segments of an item by the plan.
        plan (Callable): Returns the segments of a file with a duration, see :class:`SegmentDecoder`.
        describe (Callable, optional): Called with each path; its result is the ``note`` of the file. An
            ``OSError`` makes the file unreadable.
    """
    for filename in files:
        path = filename
        try:
            with local_copy(filename) as path:
                note = None if describe is None else describe(path)
                item = dict(filename=path, video_id=filename, video_key=filename)
                for prepared in prepare(item, plan):
                    yield FilePart(filename, prepared)
        except (VideoReadError, OSError) as error:
            retry = isinstance(error, (VideoUnavailableError, OSError))
            reason = (str(error) or repr(error)).replace(path, filename)  # not the copy of a URL
            yield FilePart(filename, None, None, reason, retry)
        else:
            yield FilePart(filename, None, note)


def encode_parts_of_files(
    parts: Iterable[FilePart],
    encode: Callable[[PreparedSegments], Any],
    concatenate: Callable[[list[Any]], Any],
) -> Iterator[EncodedFile]:
    """Encode files as their parts come; parts of several files may be mixed.

    Args:
        parts (Iterable[FilePart]): Output of :func:`read_parts`.
        encode (Callable): Returns the features of some segments.
        concatenate (Callable): Joins the features of all parts of a file.

    Yields:
        EncodedFile: Each file, in the order in which they are ready.
    """
    open_files: dict[str, list[tuple[PreparedSegments, Any]]] = {}
    for part in parts:
        done = open_files.setdefault(part.filename, [])
        if part.prepared is not None:
            features = encode(part.prepared)
            done.append((part.prepared._replace(packed=None), features))  # without the frames
            continue
        del open_files[part.filename]
        reason = part.unreadable
        if reason is None and not done:
            reason = 'it has no segment with a frame that can be decoded'
        if reason is not None:
            yield EncodedFile(part.filename, 0.0, [], None, part.note, reason, part.retry)
            continue
        segments = [segment for prepared, _ in done for segment in prepared.segments]
        joined = concatenate([features for _, features in done])
        missing = max(prepared.missing_frames for prepared, _ in done)
        duration = done[0][0].duration
        yield EncodedFile(part.filename, duration, segments, joined, part.note, missing_frames=missing)
