from typing import Tuple

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


def when_shown(results: dict) -> Tuple[np.ndarray, float]:
    """Find when each frame of a video, or of its window, is shown.

    Args:
        results (dict): With ``total_frames``, ``start_index``, ``avg_fps`` and,
            where the rate varies, the ``frame_times`` of the whole video.

    Returns:
        tuple[np.ndarray, float]: Seconds from the first frame on, (total_frames,),
        and the duration, where the last frame stays as long as the one before.
    """
    total, first, fps = results['total_frames'], results['start_index'], results['avg_fps']
    if results.get('frame_times') is None:
        return np.arange(total) / fps, total / fps
    times = results['frame_times'][first:first + total]
    times = times - times[0]
    return times, times[-1] + (times[-1] - times[-2] if total > 1 else 1 / fps)


@TRANSFORMS.register_module()
class TimeWindow(BaseTransform):
    """Narrow a video to the seconds that its annotation names.

    Stands before any sampler, ours or mmaction2's: the sampler then sees the
    window as if it were the whole video. ``DecodeVideo`` applies it by itself;
    after ``DecordInit`` it must be named. Without ``start`` and ``end`` it
    changes nothing.

    Required Keys:

    - total_frames (int)
    - start_index (int)
    - avg_fps (float, frames per second; with a window only)
    - start (float, seconds, optional)
    - end (float, seconds, optional)
    - frame_times (np.ndarray, seconds, (total_frames,), optional): used instead of the rate

    Modified Keys:

    - total_frames: Frames in the window, at least one.
    - start_index: The first of them.
    """

    def transform(self, results: dict) -> dict:
        """Turn seconds into a first frame and a number of frames.

        Raises:
            ValueError: If the window begins at or after the end of the video.
        """
        if results.get('start') is None and results.get('end') is None:
            return results
        start, end = results.get('start') or 0.0, results.get('end')
        times, duration = when_shown(results)
        if start >= duration - 1e-6:
            raise ValueError(f"{results.get('filename')}: the window starts at {start} s, but the "
                             f'video ends at {duration:.2f} s')
        # From the frame on show at the start to the last one that appears before the end.
        first = max(0, np.searchsorted(times, start + 1e-6, 'right') - 1)
        last = len(times) if end is None else np.searchsorted(times, end - 1e-6, 'left')
        results['total_frames'] = max(1, int(last - first))
        results['start_index'] = results['start_index'] + int(first)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class SampleAtRate(BaseTransform):
    """Sample frames at a fixed rate, and cut what is too long.

    CLIP4Clip's sampling (arXiv:2104.08860, section 4.1): one frame a second, at
    most ``max_frames``. A video with fewer frames stays shorter; the batch pads
    it with a mask.

    Required Keys:

    - total_frames (int)
    - start_index (int)
    - avg_fps (float, frames per second)
    - frame_times (np.ndarray, seconds, optional): of the whole video, where its rate varies

    Added Keys:

    - frame_inds (np.ndarray, int32, (T,))
    - clip_len (int)
    - frame_interval (None)
    - num_clips (int)

    Args:
        fps (float): Frames to take a second. A slower video gives each frame once.
        max_frames (int): The most frames to keep.
        cut (str): Which to keep: the first (``'head'``), the last (``'tail'``),
            or evenly spaced ones, first and last included (``'uniform'``).

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, fps: float = 1.0, max_frames: int = 12, cut: str = 'uniform') -> None:
        if fps <= 0:
            raise ValueError(f'fps must be positive, got {fps}')
        if max_frames < 1:
            raise ValueError(f'max_frames must be at least 1, got {max_frames}')
        if cut not in ('head', 'tail', 'uniform'):
            raise ValueError(f"cut must be 'head', 'tail' or 'uniform', got {cut!r}")
        self.fps, self.max_frames, self.cut = fps, max_frames, cut

    def transform(self, results: dict) -> dict:
        """Choose the frames of one video.

        Raises:
            ValueError: If the video reports no frames or no frame rate.
        """
        total, video_fps = results['total_frames'], results['avg_fps']
        if total < 1 or not video_fps > 0:
            raise ValueError(f"{results.get('filename')}: expected frames and a frame rate, got "
                             f'{total} frames at {video_fps} frames per second')
        times, duration = when_shown(results)
        count = np.ceil(duration * self.fps - 1e-6)
        # 1e-6: so that second 1 of 25 frames a second is frame 25 and not 24 by rounding.
        moments = np.arange(max(1, count)) / self.fps + 1e-6
        inds = np.unique(np.searchsorted(times, moments, 'right') - 1)
        if len(inds) > self.max_frames:
            if self.cut == 'head':
                inds = inds[:self.max_frames]
            elif self.cut == 'tail':
                inds = inds[-self.max_frames:]
            else:
                inds = inds[np.linspace(0, len(inds) - 1, self.max_frames).astype(int)]
        results['frame_inds'] = inds.astype(np.int32) + results['start_index']
        results['clip_len'] = len(inds)
        results['frame_interval'] = None
        results['num_clips'] = 1
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(fps={self.fps}, max_frames={self.max_frames}, '
                f'cut={self.cut!r})')


@TRANSFORMS.register_module()
class SampleEvenly(BaseTransform):
    """Sample the first frame, the last one and evenly spaced ones between, whatever the rate.

    Required Keys:

    - total_frames (int)
    - start_index (int)

    Added Keys:

    - frame_inds (np.ndarray, int32, (T,))
    - clip_len (int)
    - frame_interval (None)
    - num_clips (int)

    Args:
        num_frames (int): Frames to take. A video with fewer gives some of them again.

    Raises:
        ValueError: If that is less than 1.
    """

    def __init__(self, num_frames: int = 12) -> None:
        if num_frames < 1:
            raise ValueError(f'num_frames must be at least 1, got {num_frames}')
        self.num_frames = num_frames

    def transform(self, results: dict) -> dict:
        """Choose the frames of one video."""
        first = results['start_index']
        inds = np.linspace(first, first + results['total_frames'] - 1, self.num_frames)
        results['frame_inds'] = inds.round().astype(np.int32)
        results['clip_len'], results['frame_interval'], results['num_clips'] = self.num_frames, None, 1
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_frames={self.num_frames})'
