import numpy as np

from .transform import Transform


class UnsuitableVideoError(ValueError):
    """A video that a sampler cannot use, for example because its window begins after its end.

    :class:`DecodeVideo` counts such a video as unreadable. Any other error in a sampler is a bug of the
    sampler and ends the run.

    Examples:
        >>> from mmclip4clip.datasets import TimeWindow
        >>> video = dict(total_frames=100, start_index=0, avg_fps=25.0)  # 4 seconds
        >>> try:
        ...     TimeWindow()(dict(video, start=9, end=10))
        ... except UnsuitableVideoError:
        ...     print('the window begins after the end')
        the window begins after the end
    """


def presentation_times(results: dict) -> tuple[np.ndarray, float]:
    """Return the presentation time of each frame of a video or of its window.

    Args:
        results (dict): With ``total_frames``, ``start_index``, ``avg_fps`` and, if the rate varies, the
            ``frame_times`` of the whole video.

    Returns:
        tuple[np.ndarray, float]: Seconds since the first frame, (total_frames,), and the duration in seconds.
        The last frame is assumed to last as long as the one before it.
    """
    total, first, fps = results['total_frames'], results['start_index'], results['avg_fps']
    if results.get('frame_times') is None:
        return np.arange(total) / fps, total / fps
    times = results['frame_times'][first : first + total]
    times = times - times[0]
    return times, times[-1] + (times[-1] - times[-2] if total > 1 else 1 / fps)


def reference_rate(results: dict) -> int:
    """Return the frame rate that the reference assumes: the integer part of the real one.

    At 29.97 frames per second it takes frame k * 29 for second k, which is half a second early after 16
    seconds.

    Raises:
        UnsuitableVideoError: If the rate is below 1, because the reference cannot read such a video.
    """
    # 1e-6: a rate computed from times may be just below an integer.
    fps = int(results['avg_fps'] + 1e-6)
    if fps < 1:
        raise UnsuitableVideoError(
            f'{results.get("filename")}: reference_times needs at least 1 frame per second, got '
            f'{results["avg_fps"]}'
        )
    return fps


class TimeWindow(Transform):
    """Restrict a video to the time window of its annotation.

    Place it before the sampler, of this package or of mmaction2, which then treats the window as the whole
    video. ``DecodeVideo`` applies it automatically. After ``DecordInit``, add it to the pipeline. Without
    ``start`` and ``end`` it changes nothing.

    Required Keys:

    - total_frames (int)
    - start_index (int)
    - avg_fps (float, frames per second; required with a window)
    - start (float, seconds, optional)
    - end (float, seconds, optional)
    - frame_times (np.ndarray, seconds, (total_frames,), optional): used instead of the rate

    Modified Keys:

    - total_frames: Number of frames in the window, at least one.
    - start_index: First frame of the window.

    Args:
        reference_times (bool): Whether to apply windows as the reference does: by the integer frame rate
            and including the end second, so that DiDeMo's window from 0 to 31 s has 32 frames at one frame
            per second. ``DecodeVideo`` takes the value from its sampler.

    Examples:
        >>> from mmclip4clip.datasets import TimeWindow
        >>> results = TimeWindow()(dict(total_frames=100, start_index=0, avg_fps=25.0, start=1, end=3))
        >>> results['start_index'], results['total_frames']
        (25, 50)
    """

    def __init__(self, reference_times: bool = False) -> None:
        self.reference_times = reference_times

    def transform(self, results: dict) -> dict:
        """Convert the window from seconds to a first frame and a number of frames.

        Raises:
            UnsuitableVideoError: If the window begins at or after the end of the video.
        """
        if results.get('start') is None and results.get('end') is None:
            return results
        start, end = results.get('start') or 0.0, results.get('end')
        if self.reference_times:
            return self._like_reference(results, start, end)
        times, duration = presentation_times(results)
        if start >= duration - 1e-6:
            raise UnsuitableVideoError(
                f'{results.get("filename")}: the window starts at {start} s, but the '
                f'video ends at {duration:.2f} s'
            )
        # From the frame shown at the start to the last frame that appears before the end.
        first = max(0, np.searchsorted(times, start + 1e-6, 'right') - 1)
        last = len(times) if end is None else np.searchsorted(times, end - 1e-6, 'left')
        results['total_frames'] = max(1, int(last - first))
        results['start_index'] = results['start_index'] + int(first)
        return results

    def _like_reference(self, results: dict, start: float, end: float | None) -> dict:
        fps, total = reference_rate(results), results['total_frames']
        if start * fps >= total:
            raise UnsuitableVideoError(
                f'{results.get("filename")}: the window starts at {start} s, frame {start * fps:.0f} at '
                f'{fps} frames per second, but there are {total} frames'
            )
        first = int(start * fps)
        seconds = np.inf if end is None else max(1, np.ceil(end + 1 - start))
        results['total_frames'] = int(min(total - first, seconds * fps))
        results['start_index'] = results['start_index'] + first
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(reference_times={self.reference_times})'
