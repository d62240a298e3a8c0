from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..video_readers import (
    ArrayReader,
    NoVideoError,
    ReaderProcess,
    ReaderStalledError,
    VideoReader,
    VideoReadError,
    VideoUnavailableError,
    check_backends,
    default_backends,
    open_reader,
)
from ..video_readers.errors import describe
from ..video_readers.reader import check_bytes
from ..video_readers.reader_process import MAX_BYTES
from .resizing import check_sides
from .sampling import check_indices
from .time_window import TimeWindow, UnsuitableVideoError
from .transform import Transform, TransformList


class DecodeVideo(Transform):
    """Open a video, sample frames and decode them, and try the next backend if one fails.

    Replaces ``DecordInit``, the samplers and ``DecordDecode`` of mmaction2. A time window (``start``,
    ``end``) is always applied. An index past the last decodable frame becomes that frame. A window without
    any decodable frame counts as an unreadable video.

    Required Keys:

    - filename (str)
    - start, end (float, seconds, optional)
    - decoded_frames (np.ndarray, uint8, (T, H, W, 3), optional): All frames of the video. They are used
      instead of the file, and removed
    - decoded_fps (float, frames per second): Their rate

    Added Keys:

    - imgs (list[np.ndarray]): RGB, uint8, (H, W, 3) each
    - img_shape, original_shape (tuple[int, int])
    - total_frames (int), start_index (int), avg_fps (float), frame_inds (np.ndarray) and
      other keys that the samplers add
    - frame_times (np.ndarray, seconds, (total_frames,)): only if the frame rate varies
    - backend (str): the backend that read the video, ``'array'`` for ``decoded_frames``
    - clamped_frames (int): sampled frames past the end of the decodable video
    - reported_frames (int): number of frames according to the container

    Args:
        sampling (dict | Callable | list): Sampler or samplers, of mmaction2 or of this package.
        backends (Sequence[str], optional): Some of ``'pyav'``, ``'decord'``, ``'opencv'`` and
            ``'torchcodec'``, in the order in which they are tried. PyAV is the fastest. It also seeks
            correctly where decord would return a wrong frame. decord and torchcodec are optional packages.
            The default is PyAV, then decord if it is installed, then OpenCV.
        time_limit (float, optional): CPU seconds per video and backend. The backend reads in a separate
            process, which is killed when the limit is exceeded. In wall-clock time, all backends together
            may be idle for the same number of seconds, which stops a backend that hangs. Each may take ten
            times as long, or 10 minutes if that is more, so a loaded machine does not reject videos. None
            disables the limit and the separate process.
        min_frames (int): A video with fewer frames counts as unreadable.
        max_bytes (int, optional): Maximum size of the frames of one video in bytes, copies included. The
            peak memory use is three times this size. The separate process may use twice this size, plus
            1 GiB for its decoder. None disables the limit and requires ``time_limit=None``.

    Raises:
        ValueError: If an argument is out of range.
        ImportError: If the package of a backend is missing or cannot be loaded.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from mmclip4clip.datasets import DecodeVideo, SampleEvenly
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> decode = DecodeVideo(SampleEvenly(num_frames=3), time_limit=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((9, 48, 64, 3), np.uint8))
        ...     results = decode(dict(filename=f'{folder}/v.mp4'))
        >>> results['frame_inds'].tolist(), results['imgs'][0].shape, results['backend']
        ([0, 4, 8], (48, 64, 3), 'pyav')
    """

    shared_windows: Any = None  # SharedWindows, while a batch is prepared that has several of one video

    def __init__(
        self,
        sampling: dict | Callable | Sequence,
        backends: Sequence[str] | None = None,
        time_limit: float | None = 60,
        min_frames: int = 1,
        max_bytes: int | None = MAX_BYTES,
    ) -> None:
        backends = default_backends() if backends is None else backends
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
        self.sampling = TransformList(steps)
        if not any(isinstance(step, TimeWindow) for step in self.sampling.transforms):
            self.sampling.transforms.insert(
                0,
                TimeWindow(any(getattr(step, 'reference_times', False) for step in self.sampling.transforms)),
            )
        self.backends, self.time_limit, self.min_frames = tuple(backends), time_limit, min_frames
        self.max_bytes = max_bytes
        self._process = None
        if time_limit is not None and max_bytes is not None:
            self._process = ReaderProcess(max_bytes)

    def transform(self, results: dict) -> dict:
        """Decode the sampled frames of one video.

        Raises:
            VideoUnavailableError: If the storage does not return the file now, or a backend was idle for too
                long. The video may be intact.
            NoVideoError: If a backend finds that the file contains no video.
            VideoReadError: If no backend can read it. The message lists the error of each backend.
            RuntimeError: If a sampler raises another error than :class:`UnsuitableVideoError`, or draws no
                valid frame indices.
        """
        if 'decoded_frames' in results:
            results = dict(results)
            array = ArrayReader(results.pop('decoded_frames'), results.pop('decoded_fps'), self.max_bytes)
            return dict(self._read(array, results), backend='array')
        errors: dict[str, VideoReadError] = {}
        for backend in self.backends_to_try(errors):
            try:
                with self._open_shared(backend, results) as reader:
                    return dict(self._read(reader, dict(results)), backend=backend)
            except VideoReadError as error:
                errors[backend] = error
        raise combined_error(results['filename'], errors)

    def backends_to_try(self, errors: dict[str, VideoReadError]) -> Iterator[str]:
        """Yield one backend after the other, while the caller adds the errors of those that fail.

        Ends if the storage fails: another backend could take a partly readable file for a complete one.
        """
        for backend in self.backends:
            yield backend
            error = errors.get(backend)
            if isinstance(error, VideoUnavailableError) and not isinstance(error, ReaderStalledError):
                return

    def open(self, backend: str, filename: str) -> VideoReader:
        """Open a video with a backend, within the limits of time and memory."""
        if self._process is None or self.time_limit is None:
            return open_reader(backend, filename, self.max_bytes)
        return self._process.open(backend, filename, self.time_limit, self.time_limit / len(self.backends))

    def _open_shared(self, backend: str, results: dict) -> VideoReader:
        if self.shared_windows is None:
            return self.open(backend, results['filename'])
        return self.shared_windows.open(backend, results)

    def describe_video(self, reader: VideoReader, results: dict) -> dict:
        """Add the number and times of the frames of an open video, which samplers need.

        Raises:
            VideoReadError: If it has fewer than ``min_frames``.
        """
        if reader.num_frames < self.min_frames:
            raise VideoReadError(f'it has {reader.num_frames} frames, min_frames={self.min_frames}')
        results = dict(results, total_frames=reader.num_frames, avg_fps=reader.fps)
        results['reported_frames'] = reader.reported_frames
        if reader.times is not None:
            results['frame_times'] = reader.times
        results.setdefault('start_index', 0)
        return results

    def sample_frames(self, results: dict) -> tuple[dict, np.ndarray]:
        """Draw the frames of a described video, or of its window.

        Args:
            results (dict): Output of :meth:`describe_video`.

        Returns:
            tuple[dict, np.ndarray]: What the samplers returned, and the frame indices, (T,).

        Raises:
            VideoReadError: If a sampler cannot use the video.
            RuntimeError: If a sampler fails otherwise.
        """
        try:
            results = self.sampling(results)
        except UnsuitableVideoError as error:
            raise VideoReadError(str(error)) from error
        except Exception as error:  # not caused by the video, so it must not be replaced
            raise RuntimeError(
                f'sampling the frames of {results["filename"]} failed; {describe(error)}'
            ) from error
        return results, check_indices(results)

    def _read(self, reader: VideoReader, results: dict) -> dict:
        results, sampled = self.sample_frames(self.describe_video(reader, results))
        wanted, places = np.unique(np.minimum(sampled, reader.num_frames - 1), return_inverse=True)
        frames = reader.read(wanted.tolist())
        check_sides(*frames[0].shape[1::-1])
        if reader.num_frames <= results['start_index']:  # its last frame precedes the window
            raise VideoReadError(
                f'the window starts at frame {results["start_index"]}, but only '
                f'{reader.num_frames} frames can be decoded'
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


def combined_error(filename: str, errors: Mapping[str, VideoReadError]) -> VideoReadError:
    """Join the errors of all backends, in the most informative of their classes.

    If the storage failed or a backend stalled, the state of the video is unknown.
    """
    kind = VideoReadError
    for cls in (NoVideoError, VideoUnavailableError):
        kind = cls if any(isinstance(error, cls) for error in errors.values()) else kind
    reasons = '; '.join(f'{backend}: {error}' for backend, error in errors.items())
    return kind(f'{filename} cannot be read; {reasons}')


def copy_repeated_frames(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Copy repeated frames, because later transforms may change frames in place."""
    seen, copies = set(), []
    for frame in frames:
        copies.append(frame.copy() if id(frame) in seen else frame)
        seen.add(id(frame))
    return copies
