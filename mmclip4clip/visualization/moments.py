"""Times and moments of videos as people write them, and frames at given times."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from mmcv.transforms import BaseTransform

from ..datasets.transforms.time_window import presentation_times

if TYPE_CHECKING:
    from ..search.answers import Answer


def describe_moment(answer: 'Answer') -> str:
    """Return start and end of a moment as people write them; ``'whole'`` for a whole video.

    Examples:
        >>> from mmclip4clip.search import Answer
        >>> describe_moment(Answer(0.3, '/v.mp4', 62.5, 72.5, 80.0))
        '1:02.5-1:12.5'
    """
    if answer.start is None and answer.end is None:
        return 'whole'
    end = answer.duration if answer.end is None else answer.end
    return f'{format_time(answer.start or 0)}-{format_time(end)}'


def format_time(seconds: float) -> str:
    """Return a time to the tenth of a second, without zeros at its end.

    Examples:
        >>> format_time(59.96), format_time(3605.25)
        ('1:00', '1:00:05.2')
    """
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    shown = f'{hours}:{minutes:02}' if hours else f'{minutes}'
    return f'{shown}:{tenths // 10:02}' + (f'.{tenths % 10}' if tenths % 10 else '')


class SampleAtTimes(BaseTransform):
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
