"""Find videos that will cause problems in training."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from ..datasets.transforms import DecodeVideo
from ..datasets.video_readers import NoVideoError, VideoReadError, VideoUnavailableError
from ..datasets.video_readers.storage_errors import read_error

PROBLEMS = ('unreadable', 'frameless', 'short', 'over-reporting', 'duplicate')


def check_video(path: Path, decode: DecodeVideo, min_frames: int = 2, min_seconds: float = 1.0) -> dict:
    """Decode the frames of a video that ``decode`` samples, and list its problems.

    Args:
        path (Path): Path of the video.
        decode (DecodeVideo): Transform that should sample the last frame too, to find where the video ends.
        min_frames (int): Number of frames below which a video is short.
        min_seconds (float): Duration in seconds below which a video is short.

    Returns:
        dict: ``problems`` maps kinds to descriptions. The kinds are those of ``PROBLEMS`` except
        ``'duplicate'``, and ``'unavailable'`` for storage failures, which may be temporary. ``sha256`` is the
        digest of the file. If the video can be read, there are also ``frames``, ``fps``, ``seconds``,
        ``width``, ``height`` and the ``backend`` that read it.

    Examples:
        >>> from mmclip4clip.datasets import DecodeVideo, SampleEvenly
        >>> check_video(Path('missing.mp4'), DecodeVideo(SampleEvenly(4)))
        {'problems': {'unreadable': 'it is not a file'}, 'sha256': None}
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
        record['problems']['over-reporting'] = f'{frames} of {video["reported_frames"]} frames can be decoded'
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
    """Return the digest of a file's content; ``hashlib.file_digest`` needs Python 3.11."""
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _kind(error: VideoReadError) -> str:
    if isinstance(error, VideoUnavailableError):
        return 'unavailable'
    return 'frameless' if isinstance(error, NoVideoError) else 'unreadable'


def summarize(records: Iterable[dict]) -> dict[str, dict]:
    """Group the problems of many videos by kind.

    Args:
        records (Iterable[dict]): Results of :func:`check_video`, each with an additional ``path``.

    Returns:
        dict[str, dict]: Descriptions by path for each kind of ``PROBLEMS``, and ``unavailable`` if there are
        any. All files with the same content except the first one are duplicates.

    Examples:
        >>> records = [dict(path=name, problems={}, sha256='1f') for name in ('a.mp4', 'b.mp4')]
        >>> summarize(records)['duplicate']
        {'b.mp4': 'the same as a.mp4'}
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
