import numpy as np

from .time_window import UnsuitableVideoError, presentation_times, reference_rate
from .transform import Transform


def frames_at_rate(times: np.ndarray, duration: float, fps: float) -> np.ndarray:
    """Find the frames shown at seconds 0, 1 / fps, 2 / fps, ... before the end.

    Searches the first sampling time of each frame, not the frame of each sampling time: a damaged time stamp
    can lead to billions of sampling times, but not of frames.

    Args:
        times (np.ndarray): Seconds at which the frames appear, increasing, the first at 0, (T,).
        duration (float): End of the last frame in seconds.
        fps (float): Sampling times per second.

    Returns:
        np.ndarray: Increasing frame indices, at least one, (<= T,).
    """

    def moment(number: np.ndarray) -> np.ndarray:
        # 1e-6: at 25 frames per second, second 1 is frame 25, and rounding must not make it 24.
        return number / fps + 1e-6

    count = max(1, np.ceil(duration * fps - 1e-6))
    first = np.maximum(0, np.ceil((times - 1e-6) * fps))  # first sampling time of each frame, up to rounding
    first -= (first > 0) & (moment(first - 1) >= times)
    first += moment(first) < times
    until = np.minimum(np.append(first[1:], count), count)
    return np.flatnonzero(first < until)


def check_rate(fps: float, name: str = 'fps') -> None:
    """Check that a rate is positive and finite.

    Raises:
        ValueError: If it is not.
    """
    if not 0 < fps < np.inf:
        raise ValueError(f'{name} must be positive and finite, got {fps}')


class SampleAtRate(Transform):
    """Sample frames at a fixed rate, up to a maximum number.

    This is CLIP4Clip's sampling (arXiv:2104.08860, section 4.1): one frame per second, at most
    ``max_frames``. A video with fewer frames stays shorter, and the batch pads and masks it.

    Required Keys:

    - total_frames (int)
    - start_index (int)
    - avg_fps (float, frames per second)
    - frame_times (np.ndarray, seconds, optional): times of the whole video, if its frame rate varies

    Added Keys:

    - frame_inds (np.ndarray, int32, (T,))
    - clip_len (int)
    - frame_interval (None)
    - num_clips (int)

    Args:
        fps (float): Frames to take per second. From a slower video, each frame is taken once.
        max_frames (int): Maximum number of frames to keep.
        cut (str): Frames to keep: the first (``'head'``), the last (``'tail'``), or evenly spaced ones that
            include the first and the last (``'uniform'``).
        reference_times (bool): Whether to locate seconds by the integer part of the frame rate, as the
            reference does. In the clips that we looked at, its frames are up to 12 frames earlier. Requires
            an integer ``fps``. Time windows include their end second.

    Raises:
        ValueError: If an argument is out of range.

    Examples:
        >>> from mmclip4clip.datasets import SampleAtRate
        >>> video = dict(total_frames=100, start_index=0, avg_fps=25.0)  # 4 seconds
        >>> SampleAtRate(fps=1, max_frames=12)(dict(video))['frame_inds'].tolist()
        [0, 25, 50, 75]
        >>> SampleAtRate(fps=1, max_frames=2, cut='tail')(dict(video))['frame_inds'].tolist()
        [50, 75]
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
            raise ValueError(f'with reference_times=True fps must be an integer, got {fps}')
        self.fps, self.max_frames, self.cut = fps, max_frames, cut
        self.reference_times = reference_times

    def transform(self, results: dict) -> dict:
        """Choose the frame indices of one video.

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
        """Take the first ``fps`` evenly spaced frames of each second, by the integer frame rate."""
        rate, wanted = reference_rate(results), int(self.fps)
        if wanted > rate:
            raise UnsuitableVideoError(
                f'{results.get("filename")}: with reference_times=True a video of {rate} frames '
                f'per second has fewer than {wanted} per second'
            )
        inds = np.arange(results['total_frames'])
        within = inds % rate  # position within its second
        interval = rate // wanted
        return inds[(within % interval == 0) & (within < wanted * interval)]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(fps={self.fps}, max_frames={self.max_frames}, '
            f'cut={self.cut!r}, reference_times={self.reference_times})'
        )


class SampleEvenly(Transform):
    """Sample evenly spaced frames, including the first and the last, at any frame rate.

    Required Keys:

    - total_frames (int)
    - start_index (int)

    Added Keys:

    - frame_inds (np.ndarray, int32, (T,))
    - clip_len (int)
    - frame_interval (None)
    - num_clips (int)

    Args:
        num_frames (int): Number of frames. Frames of a shorter video are repeated.

    Raises:
        ValueError: If ``num_frames`` is less than 1.

    Examples:
        >>> from mmclip4clip.datasets import SampleEvenly
        >>> SampleEvenly(num_frames=3)(dict(total_frames=9, start_index=0))['frame_inds'].tolist()
        [0, 4, 8]
    """

    def __init__(self, num_frames: int = 12) -> None:
        if num_frames < 1:
            raise ValueError(f'num_frames must be at least 1, got {num_frames}')
        self.num_frames = num_frames

    def transform(self, results: dict) -> dict:
        """Choose the frame indices of one video."""
        first = results['start_index']
        inds = np.linspace(first, first + results['total_frames'] - 1, self.num_frames)
        results['frame_inds'] = inds.round().astype(np.int32)
        results['clip_len'], results['frame_interval'], results['num_clips'] = self.num_frames, None, 1
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_frames={self.num_frames})'


def check_indices(results: dict) -> np.ndarray:
    """Return the indices that a sampler has drawn, (T,).

    Raises:
        RuntimeError: If they are not whole numbers from 0 up, or there are none: a fault of the sampler, not
            of the video.
    """
    sampled = np.reshape(results['frame_inds'], -1)
    whole = sampled.size and np.issubdtype(sampled.dtype, np.number) and np.isfinite(sampled).all()
    if not whole or sampled.min() < 0 or (sampled != np.floor(sampled)).any():
        raise RuntimeError(
            f'sampling the frames of {results["filename"]} failed; frame_inds must be whole numbers from 0 '
            f'up, at least one, got {sampled[:10].tolist()}'
        )
    return sampled.astype(np.int64)
