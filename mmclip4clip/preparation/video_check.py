"""Finding the videos that will make trouble, before training does."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from ..datasets.transforms import DecodeVideo
from ..datasets.video_readers import NoVideoError, VideoReadError, VideoUnavailableError
from ..datasets.video_readers.storage_errors import read_error

PROBLEMS = ('unreadable', 'frameless', 'short', 'over-reporting', 'duplicate')


def check_video(path: Path, decode: DecodeVideo, min_frames: int = 2, min_seconds: float = 1.0) -> dict:
    """Open a video, decode the frames that ``decode`` samples, and note what is wrong.

    Args:
        path (Path): The video.
        decode (DecodeVideo): Samples the last frame too, to notice where the video ends.
        min_frames (int): A video with fewer frames is short.
        min_seconds (float): As is one that lasts less.

    Returns:
        dict: ``problems``, a dict of kind (of ``PROBLEMS``, all but the last) and
        description, ``unavailable`` for a fault of the storage, of which another check may
        see nothing; ``sha256`` of the file; and, if it can be read, ``frames``,
        ``fps``, ``seconds``, ``width``, ``height`` and the ``backend`` that read it.
    """
    if not path.is_file():  # reading from a pipe would never end
        return dict(problems=dict(unreadable='it is not a file'), sha256=None)
    try:
        with path.open('rb') as file:
            record: dict[str, Any] = dict(problems={}, sha256=_sha256(file))
    except OSError as error:
        return dict(problems={_kind(read_error(error)): str(error)}, sha256=None)
    try:
        video = decode(dict(filename=str(path)))
    except VideoReadError as error:
        return dict(record, problems={_kind(error): str(error).removeprefix(f'{path} cannot be read; ')})
    frames = video['frame_inds'].max() + 1 if video['clamped_frames'] else video['total_frames']
    height, width = video['original_shape']
    seconds = frames / video['avg_fps']
    if frames < min_frames or seconds < min_seconds:
        record['problems']['short'] = f'{frames} frames, {seconds:.2f} s'
    if frames < video['reported_frames']:
        record['problems']['over-reporting'] = f'{frames} of {video["reported_frames"]} frames decode'
    return dict(
        record,
        frames=int(frames),
        fps=float(video['avg_fps']),
        seconds=float(seconds),
        width=int(width),
        height=int(height),
        backend=video['backend'],
    )


def _sha256(file: BinaryIO) -> str:
    """Return the digest of a file's content; ``hashlib.file_digest`` is of Python 3.11."""
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _kind(error: VideoReadError) -> str:
    if isinstance(error, VideoUnavailableError):
        return 'unavailable'
    return 'frameless' if isinstance(error, NoVideoError) else 'unreadable'


def summarize(records: Iterable[dict]) -> dict[str, dict]:
    """Sort the problems of many videos by kind.

    Args:
        records (Iterable[dict]): From :func:`check_video`, with a ``path`` each.

    Returns:
        dict[str, dict]: For each of ``PROBLEMS``, and ``unavailable`` where there are any, a dict of path
        and description. Of
        files with the same content the first one is none.
    """
    found: dict[str, dict] = {kind: {} for kind in PROBLEMS}
    same: dict[str, list[str]] = {}
    for record in sorted(records, key=lambda record: record['path']):
        for kind, text in record['problems'].items():
            found.setdefault(kind, {})[record['path']] = text
        if record['sha256']:
            same.setdefault(record['sha256'], []).append(record['path'])
    for first, *others in same.values():
        found['duplicate'].update((path, f'the same as {first}') for path in others)
    return found
