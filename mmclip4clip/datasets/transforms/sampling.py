import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from .time_window import UnsuitableVideoError, presentation_times, reference_rate


def frames_at_rate(times: np.ndarray, duration: float, fps: float) -> np.ndarray:
    """Find which frames are on show at second 0, 1 / fps, 2 / fps ... before the end.

    Looks for the first such moment of each frame, not for the frame of each
    moment: a damaged time stamp can make the moments billions, but not the frames.

    Args:
        times (np.ndarray): Seconds at which the frames appear, the first at 0, rising, (T,).
        duration (float): When the last one disappears, in seconds.
        fps (float): Moments a second.

    Returns:
        np.ndarray: Numbers of frames, rising, at least one, (<= T,).
    """

    def moment(number: np.ndarray) -> np.ndarray:
        # 1e-6: so that second 1 of 25 frames a second is frame 25 and not 24 by rounding.
        return number / fps + 1e-6

    count = max(1, np.ceil(duration * fps - 1e-6))
    first = np.maximum(0, np.ceil((times - 1e-6) * fps))  # the first moment of each frame, up to rounding
    first -= (first > 0) & (moment(first - 1) >= times)
    first += moment(first) < times
    until = np.minimum(np.append(first[1:], count), count)
    return np.flatnonzero(first < until)


def check_rate(fps: float, name: str = 'fps') -> None:
    """Refuse a rate that is no positive number.

    Raises:
        ValueError: If it is none.
    """
    if not 0 < fps < np.inf:
        raise ValueError(f'{name} must be positive and finite, got {fps}')


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
        reference_times (bool): Whether to find seconds as the reference does, by the integer
            part of the frame rate: its frames are up to 12 earlier in the clips that we looked at.
            ``fps`` must be a whole number then. Time windows include their end second.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, fps: float = 1.0, max_frames: int = 12, cut: str = 'uniform', reference_times: bool = False
    ) -> None:
        check_rate(fps)
        if max_frames < 1:
            raise ValueError(f'max_frames must be at least 1, got {max_frames}')
        if cut not in ('head', 'tail', 'uniform'):
            raise ValueError(f"cut must be 'head', 'tail' or 'uniform', got {cut!r}")
        if reference_times and fps != int(fps):
            raise ValueError(f'with reference_times=True fps must be a whole number, got {fps}')
        self.fps, self.max_frames, self.cut = fps, max_frames, cut
        self.reference_times = reference_times

    def transform(self, results: dict) -> dict:
        """Choose the frames of one video.

        Raises:
            UnsuitableVideoError: If the video reports no frames or no frame rate.
        """
        total, video_fps = results['total_frames'], results['avg_fps']
        if total < 1 or not 0 < video_fps < np.inf:
            raise UnsuitableVideoError(
                f'{results.get("filename")}: expected frames and a frame rate, got '
                f'{total} frames at {video_fps} frames per second'
            )
        inds = (
            self._like_reference(results)
            if self.reference_times
            else frames_at_rate(*presentation_times(results), self.fps)
        )
        if len(inds) > self.max_frames:
            if self.cut == 'head':
                inds = inds[: self.max_frames]
            elif self.cut == 'tail':
                inds = inds[-self.max_frames :]
            else:
                inds = inds[np.linspace(0, len(inds) - 1, self.max_frames).astype(int)]
        results['frame_inds'] = inds.astype(np.int32) + results['start_index']
        results['clip_len'] = len(inds)
        results['frame_interval'] = None
        results['num_clips'] = 1
        return results

    def _like_reference(self, results: dict) -> np.ndarray:
        """Take the first ``fps`` of evenly spaced frames in each second of its integer rate."""
        rate, wanted = reference_rate(results), int(self.fps)
        if wanted > rate:
            raise UnsuitableVideoError(
                f'{results.get("filename")}: with reference_times=True a video of {rate} frames '
                f'per second gives no {wanted} a second'
            )
        inds = np.arange(results['total_frames'])
        within = inds % rate  # place in its second
        interval = rate // wanted
        return inds[(within % interval == 0) & (within < wanted * interval)]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(fps={self.fps}, max_frames={self.max_frames}, '
            f'cut={self.cut!r}, reference_times={self.reference_times})'
        )


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
