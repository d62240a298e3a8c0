"""Videos as users give them: files, time ranges of files, and arrays of frames."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..datasets.annotations import window_fault
from ..datasets.video_names import VideoKeys, is_video
from ..datasets.video_readers import VideoReadError

FORMS = (
    'a path, (path, start, end) in seconds, an array of frames (T, H, W, 3) uint8, or (array, frames per '
    'second)'
)
SHOWN = 10  # names in an error message


@dataclass(frozen=True)
class VideoInput:
    """One video to encode.

    Args:
        name (str): Name for messages and results: the path, or the position of an array.
        filename (str): Path of the file; the name for an array.
        frames (np.ndarray, optional): Frames of a video that is decoded already, (T, H, W, 3) uint8.
        fps (float, optional): Rate of ``frames``. None: they are sampled already.
        start (float, optional): Start of the time range in seconds.
        end (float, optional): End of the time range in seconds.

    Examples:
        >>> VideoInput('videos[0]', 'videos[0]', np.zeros((4, 48, 64, 3), np.uint8)).fps is None
        True
    """

    name: str
    filename: str
    frames: np.ndarray | None = None
    fps: float | None = None
    start: float | None = None
    end: float | None = None

    def item(self, sampled_fps: float) -> dict[str, Any]:
        """Return the item of a dataset without captions, for the pipeline.

        Args:
            sampled_fps (float): Rate of frames that are sampled already, so that all of them are taken.
        """
        window = dict(start=self.start, end=self.end)
        window = {key: value for key, value in window.items() if value is not None}
        video_id = Path(self.filename).name
        if window:  # as VideoCaptionDataset names it: the id seeds the draws of a sampled caption
            video_id += f'@{"" if self.start is None else self.start}-{"" if self.end is None else self.end}'
        item = dict(filename=self.filename, video_id=video_id, **window)
        if self.frames is None:
            return dict(item, video_key=VideoKeys()(self.filename, self.start, self.end))
        rate = sampled_fps if self.fps is None else self.fps
        return dict(item, video_key=self.filename, decoded_frames=self.frames, decoded_fps=rate)


class PreparedVideo(NamedTuple):
    """A video as the pipeline prepared it.

    Args:
        position (int): Position in the list of videos.
        packed (dict | None): Output of the pipeline; None if the video is unreadable.
        unreadable (str | None): Reason why it cannot be read.

    Examples:
        >>> PreparedVideo(0, None, 'no frames').unreadable
        'no frames'
    """

    position: int
    packed: dict | None
    unreadable: str | None


class VideoInputs:
    """Videos to encode, which a dataloader prepares in order; an unreadable one is an item with the reason.

    Args:
        videos (Sequence[VideoInput]): The videos.
        prepare (Callable): Pipeline that decodes and packs an item.
        sampled_fps (float): See :meth:`VideoInput.item`.

    Examples:
        >>> videos = read_videos(np.zeros((4, 48, 64, 3), np.uint8))
        >>> VideoInputs(videos, lambda item: item['decoded_frames'].shape, 2.0)[0].packed
        (4, 48, 64, 3)
    """

    def __init__(self, videos: Sequence[VideoInput], prepare: Callable, sampled_fps: float) -> None:
        self.videos, self.prepare, self.sampled_fps = videos, prepare, sampled_fps

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, position: int) -> PreparedVideo:
        try:
            packed = self.prepare(self.videos[position].item(self.sampled_fps))
            return PreparedVideo(position, packed, None)
        except VideoReadError as error:
            return PreparedVideo(position, None, str(error))


def read_videos(videos: Any) -> list[VideoInput]:
    """Check videos and give them one form. A single video counts as a list of one.

    Args:
        videos (Any): List of paths, of tuples (path, start, end) in seconds, where None is the start or end
            of the file, of arrays of frames (T, H, W, 3) uint8, and of tuples (array, frames per second).

    Returns:
        list[VideoInput]: One per video, in the same order.

    Raises:
        ValueError: If there are no videos, or an array or a time range is invalid.
        TypeError: If a video has none of these forms.
        FileNotFoundError: If files do not exist; counts them and names the first ones.

    Examples:
        >>> [video.frames.shape for video in read_videos([np.zeros((4, 48, 64, 3), np.uint8)] * 2)]
        [(4, 48, 64, 3), (4, 48, 64, 3)]
    """
    if isinstance(videos, np.ndarray) and videos.dtype.kind in 'OU':  # of paths
        videos = videos.tolist()
    if _is_one(videos):
        videos = [videos]
    elif not isinstance(videos, Iterable) or isinstance(videos, (bytes, dict)):
        raise TypeError(f'videos must be a list, each of it {FORMS}; got {type(videos).__name__}')
    found = [_read_video(video, f'videos[{position}]') for position, video in enumerate(videos)]
    if not found:
        raise ValueError(f'videos is empty: expected at least one, {FORMS}')
    files = list(dict.fromkeys(video.filename for video in found if video.frames is None))
    missing = [file for file in files if not Path(file).is_file()]
    if missing:
        shown = '\n  '.join(
            file + ' (a folder)' * Path(file).is_dir() for file in missing[:SHOWN]
        ) + '\n  ...' * (len(missing) > SHOWN)
        raise FileNotFoundError(f'{len(missing)} of {len(files)} videos do not exist:\n  {shown}')
    return found


def files_in(folder: str | Path) -> list[str]:
    """Find the videos of a folder and its subfolders, by their endings, sorted.

    Raises:
        ValueError: If there are none.
    """
    files = sorted(str(path) for path in Path(folder).rglob('*') if is_video(path.name) and path.is_file())
    if not files:
        raise ValueError(f'the folder {folder} has no videos, by their endings such as .mp4')
    return files


def is_array(value: Any) -> bool:
    """Return whether a value is an array or a tensor; without an import of torch.

    Examples:
        >>> is_array(np.zeros(1)), is_array([0.0])
        (True, False)
    """
    if isinstance(value, np.ndarray):
        return True
    torch = sys.modules.get('torch')
    return torch is not None and isinstance(value, torch.Tensor)


def _is_one(videos: Any) -> bool:
    """Return whether this is one video, not a list of them."""
    if is_array(videos):
        return videos.ndim != 5  # an array with a fifth axis is a list; others are checked as a video
    if (
        isinstance(videos, tuple)
        and videos
        and (isinstance(videos[0], (str, PathLike)) or is_array(videos[0]))
    ):
        return any(value is None or np.isscalar(value) and not isinstance(value, str) for value in videos[1:])
    return isinstance(videos, (str, PathLike))


def _read_video(video: Any, where: str) -> VideoInput:
    if isinstance(video, (str, PathLike)):
        return VideoInput(str(video), str(video))
    if is_array(video):
        return VideoInput(where, where, _check_frames(video, where))
    if isinstance(video, tuple) and len(video) == 3 and isinstance(video[0], (str, PathLike)):
        start, end = (value.item() if isinstance(value, np.generic) else value for value in video[1:])
        fault = window_fault(start, end)
        if fault:
            raise ValueError(f'{where}, {video[0]}: {fault}')
        return VideoInput(str(video[0]), str(video[0]), start=start, end=end)
    if isinstance(video, tuple) and len(video) == 2 and is_array(video[0]):
        fps = video[1].item() if isinstance(video[1], np.generic) else video[1]
        if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps < float('inf'):
            raise ValueError(f'{where}: frames per second must be a positive number, got {video[1]!r}')
        return VideoInput(where, where, _check_frames(video[0], where), float(fps))
    raise TypeError(f'{where}: expected {FORMS}; got {type(video).__name__}: {str(video)[:80]}')


def _check_frames(video: Any, where: str) -> np.ndarray:
    frames = video if isinstance(video, np.ndarray) else video.detach().cpu().numpy()
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        hint = '; move the channels to the end' if frames.ndim == 4 and frames.shape[1] == 3 else ''
        raise ValueError(
            f'{where}: expected frames (T, H, W, 3) of uint8, at least one, RGB; got {frames.shape} of '
            f'{frames.dtype}{hint}'
        )
    return frames


def check_size(value: Any, name: str) -> int:
    """Return a positive whole number.

    Raises:
        ValueError: If it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f'{name} must be a positive whole number, got {value!r}')
    return value
