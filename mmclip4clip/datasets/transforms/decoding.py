from collections.abc import Sequence

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from ..video_readers import (
    NoVideoError,
    ReaderProcess,
    ReaderStalledError,
    VideoReader,
    VideoReadError,
    VideoUnavailableError,
    check_backends,
    open_reader,
)
from ..video_readers.errors import describe
from ..video_readers.reader import check_bytes
from ..video_readers.reader_process import MAX_BYTES
from .resizing import check_sides
from .time_window import TimeWindow, UnsuitableVideoError


@TRANSFORMS.register_module()
class DecodeVideo(BaseTransform):
    """Open a video, sample frames and decode them, with another backend where one fails.

    Stands for ``DecordInit``, the samplers and ``DecordDecode`` of mmaction2. A
    time window (``start``, ``end``) always holds. Indices past what really
    decodes become the last frame that does; a window of which nothing decodes
    counts as a video that cannot be read.

    Required Keys:

    - filename (str)
    - start, end (float, seconds, optional)

    Added Keys:

    - imgs (list[np.ndarray]): RGB, uint8, (H, W, 3) each
    - img_shape, original_shape (tuple[int, int])
    - total_frames (int), start_index (int), avg_fps (float), frame_inds (np.ndarray) and what
      else the samplers add
    - frame_times (np.ndarray, seconds, (total_frames,)): only if the frame rate varies
    - backend (str): the one that read the video
    - clamped_frames (int): sampled frames that the video turned out not to have
    - reported_frames (int): frames that the container promises

    Args:
        sampling (dict | BaseTransform | list): Sampler or samplers, mmaction2's or ours.
        backends (Sequence[str]): Of ``'decord'``, ``'pyav'`` and ``'opencv'``, in the
            order in which they are tried. PyAV is the quickest, and needs no detour where
            decord would seek to a wrong frame.
        time_limit (float, optional): Seconds of CPU time that each backend has for a video;
            it reads in a child process and is killed. By the clock, all backends together may
            do nothing for as many seconds, which ends those that hang, and each may take
            ten times as many, or 10 minutes, so that a loaded machine refuses no video. None is no limit,
            and no child.
        min_frames (int): A video with fewer frames counts as unreadable.
        max_bytes (int, optional): The most bytes that the frames taken from a video may have,
            copies included; at their peak they are in memory three times. The child may
            take twice as many, and 1 GiB for its decoder. None is no limit, with
            ``time_limit=None`` only.

    Raises:
        ValueError: If an argument is out of range.
        ImportError: If the package of a backend is missing.
    """

    def __init__(
        self,
        sampling: dict | BaseTransform | Sequence,
        backends: Sequence[str] = ('pyav', 'decord', 'opencv'),
        time_limit: float | None = 60,
        min_frames: int = 1,
        max_bytes: int | None = MAX_BYTES,
    ) -> None:
        check_backends(backends)
        if time_limit is not None and not time_limit > 0:
            raise ValueError(f'time_limit must be positive seconds or None, got {time_limit}')
        if not (max_bytes is None and time_limit is None or max_bytes is not None and max_bytes > 0):
            raise ValueError(
                'max_bytes must be positive, or None together with time_limit=None; got '
                f'{max_bytes} and time_limit={time_limit}'
            )
        if min_frames < 1:
            raise ValueError(f'min_frames must be at least 1, got {min_frames}')
        steps = list(sampling) if isinstance(sampling, (list, tuple)) else [sampling]
        self.sampling = Compose(steps)
        if not any(isinstance(step, TimeWindow) for step in self.sampling.transforms):
            self.sampling.transforms.insert(
                0,
                TimeWindow(any(getattr(step, 'reference_times', False) for step in self.sampling.transforms)),
            )
        self.backends, self.time_limit, self.min_frames = tuple(backends), time_limit, min_frames
        self.max_bytes = max_bytes
        self._process = None if time_limit is None else ReaderProcess(max_bytes)

    def transform(self, results: dict) -> dict:
        """Read one video.

        Raises:
            VideoUnavailableError: If the storage does not give the file now, or a backend did
                nothing for too long: the video may be sound.
            NoVideoError: If a backend finds that the file holds no video.
            VideoReadError: If no backend can read it; with what each of them said.
            RuntimeError: If a sampler fails for another reason than an :class:`UnsuitableVideoError`.
        """
        errors, filename = {}, results['filename']
        for backend in self.backends:
            try:
                with self._open(backend, filename) as reader:
                    return dict(self._read(reader, dict(results)), backend=backend)
            except VideoReadError as error:
                errors[backend] = error
                if isinstance(error, VideoUnavailableError) and not isinstance(error, ReaderStalledError):
                    break  # to another backend, half a file that the storage gives may look whole
        said = '; '.join(f'{backend}: {error}' for backend, error in errors.items())
        raise combined_error_class([*errors.values()])(f'{filename} cannot be read; {said}')

    def _open(self, backend: str, filename: str) -> VideoReader:
        if self._process is None:
            return open_reader(backend, filename, self.max_bytes)
        return self._process.open(backend, filename, self.time_limit, self.time_limit / len(self.backends))

    def _read(self, reader: VideoReader, results: dict) -> dict:
        if reader.num_frames < self.min_frames:
            raise VideoReadError(f'it has {reader.num_frames} frames, min_frames={self.min_frames}')
        results.update(
            total_frames=reader.num_frames, avg_fps=reader.fps, reported_frames=reader.reported_frames
        )
        if reader.times is not None:
            results['frame_times'] = reader.times
        results.setdefault('start_index', 0)
        try:
            results = self.sampling(results)
        except UnsuitableVideoError as error:
            raise VideoReadError(str(error)) from error
        except Exception as error:  # no fault of the video, which must not be replaced for it
            raise RuntimeError(
                f'sampling the frames of {results["filename"]} failed; {describe(error)}'
            ) from error
        sampled = np.clip(np.reshape(results['frame_inds'], -1), 0, None)
        wanted, places = np.unique(np.minimum(sampled, reader.num_frames - 1), return_inverse=True)
        frames = reader.read(wanted)
        check_sides(*frames[0].shape[1::-1])
        if reader.num_frames <= results['start_index']:  # its last frame is of before the window
            raise VideoReadError(
                f'the window starts at frame {results["start_index"]}, but only '
                f'{reader.num_frames} frames decode'
            )
        frames_size = sum(frames[place].nbytes for place in places)
        check_bytes(frames_size, frames[0].shape, self.max_bytes)  # copies are made here
        results['imgs'] = imgs = copy_repeated_frames([frames[place] for place in places])
        results['img_shape'] = results['original_shape'] = imgs[0].shape[:2]
        results['frame_inds'] = np.minimum(sampled, reader.num_frames - 1).astype(np.int32)
        results['clamped_frames'] = int((sampled >= reader.num_frames).sum())
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(sampling={self.sampling.transforms}, backends={self.backends}, '
            f'time_limit={self.time_limit}, min_frames={self.min_frames}, max_bytes={self.max_bytes})'
        )


def combined_error_class(errors: Sequence[VideoReadError]) -> type[VideoReadError]:
    """Return the class of errors that says most of what several backends found.

    If one of them was refused by the storage or stalled, nothing is known of the video.
    """
    if any(isinstance(error, VideoUnavailableError) for error in errors):
        return VideoUnavailableError
    return NoVideoError if any(isinstance(error, NoVideoError) for error in errors) else VideoReadError


def copy_repeated_frames(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Copy a frame that comes again: later transforms may change frames in place."""
    seen, own = set(), []
    for frame in frames:
        own.append(frame.copy() if id(frame) in seen else frame)
        seen.add(id(frame))
    return own
