from collections.abc import Sequence

import numpy as np

from .time_window import presentation_times
from .transform import Transform


class SampleAtTimes(Transform):
    """Sample the frames that appear at given times, for :class:`DecodeVideo`.

    Args:
        times (Sequence[float]): Seconds from the first frame of the video, (T,). The nearest frames count.

    Examples:
        >>> video = dict(total_frames=100, start_index=0, avg_fps=25.0)
        >>> SampleAtTimes([0, 1.01])(video)['frame_inds'].tolist()
        [0, 25]
    """

    def __init__(self, times: Sequence[float]) -> None:
        self.times = np.asarray(times, np.float64)

    def transform(self, results: dict) -> dict:
        """Choose the frame indices of one video."""
        appear, _ = presentation_times(results)
        nearest = np.abs(appear[None] - self.times[:, None]).argmin(axis=1)
        results['frame_inds'] = nearest.astype(np.int32) + results['start_index']
        results['clip_len'], results['frame_interval'], results['num_clips'] = len(nearest), None, 1
        return results
