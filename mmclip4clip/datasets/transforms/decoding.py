import time
from typing import List, Optional, Sequence, Union

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from ..video_readers import (
    NoVideoError,
    ReaderProcess,
    VideoReader,
    VideoReadError,
    check_backends,
    open_reader,
)
from .sampling import TimeWindow


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
        time_limit (float, optional): Seconds for a video, which a decoder that hangs
            cannot outlive: it reads in a child process and is killed. Backends that are
            left share what is left of the time. None is no limit, and no child.
        min_frames (int): A video with fewer frames counts as unreadable.

    Raises:
        ValueError: If an argument is out of range.
        ImportError: If the package of a backend is missing.
    """

    def __init__(self,
                 sampling: Union[dict, BaseTransform, Sequence],
                 backends: Sequence[str] = ('pyav', 'decord', 'opencv'),
                 time_limit: Optional[float] = 60,
                 min_frames: int = 1) -> None:
        check_backends(backends)
        if time_limit is not None and not time_limit > 0:
            raise ValueError(f'time_limit must be positive seconds or None, got {time_limit}')
        if min_frames < 1:
            raise ValueError(f'min_frames must be at least 1, got {min_frames}')
        steps = list(sampling) if isinstance(sampling, (list, tuple)) else [sampling]
        self.sampling = Compose(steps)
        if not any(isinstance(step, TimeWindow) for step in self.sampling.transforms):
            self.sampling.transforms.insert(0, TimeWindow())
        self.backends, self.time_limit, self.min_frames = tuple(backends), time_limit, min_frames
        self._process = None if time_limit is None else ReaderProcess()

    def transform(self, results: dict) -> dict:
        """Read one video.

        Raises:
            NoVideoError: If a backend finds that the file holds no video.
            VideoReadError: If no backend can read it; with what each of them said.
        """
        errors, kind, begin = [], VideoReadError, time.monotonic()
        for number, backend in enumerate(self.backends):
            try:
                with self._open(number, results['filename'], begin) as reader:
                    return dict(self._read(reader, dict(results)), backend=backend)
            except VideoReadError as error:
                errors.append(f'{backend}: {error}')
                kind = NoVideoError if isinstance(error, NoVideoError) else kind
        raise kind(f"{results['filename']} cannot be read; " + '; '.join(errors))

    def _open(self, number: int, filename: str, begin: float) -> VideoReader:
        if self._process is None:
            return open_reader(self.backends[number], filename)
        left = max(0, begin + self.time_limit - time.monotonic())
        return self._process.open(self.backends[number], filename, left / (len(self.backends) - number))

    def _read(self, reader: VideoReader, results: dict) -> dict:
        if reader.num_frames < self.min_frames:
            raise VideoReadError(f'it has {reader.num_frames} frames, min_frames={self.min_frames}')
        results.update(
            total_frames=reader.num_frames, avg_fps=reader.fps, reported_frames=reader.reported_frames)
        if reader.times is not None:
            results['frame_times'] = reader.times
        results.setdefault('start_index', 0)
        try:
            results = self.sampling(results)
        except ValueError as error:  # a window that begins after the end, for example
            raise VideoReadError(str(error)) from error
        sampled = np.clip(np.reshape(results['frame_inds'], -1), 0, None)
        wanted, places = np.unique(np.minimum(sampled, reader.num_frames - 1), return_inverse=True)
        frames = reader.read(wanted)
        if reader.num_frames <= results['start_index']:  # its last frame is of before the window
            raise VideoReadError(f"the window starts at frame {results['start_index']}, but only "
                                 f'{reader.num_frames} frames decode')
        results['imgs'] = imgs = separate([frames[place] for place in places])
        results['img_shape'] = results['original_shape'] = imgs[0].shape[:2]
        results['frame_inds'] = np.minimum(sampled, reader.num_frames - 1).astype(np.int32)
        results['clamped_frames'] = int((sampled >= reader.num_frames).sum())
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(sampling={self.sampling.transforms}, backends={self.backends}, '
                f'time_limit={self.time_limit}, min_frames={self.min_frames})')


def separate(frames: List[np.ndarray]) -> List[np.ndarray]:
    """Copy a frame that comes again: later transforms may change frames in place."""
    seen, own = set(), []
    for frame in frames:
        own.append(frame.copy() if id(frame) in seen else frame)
        seen.add(id(frame))
    return own
