import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


class UnsuitableVideoError(ValueError):
    """A video from which a sampler cannot take what it should, such as a window after its end.

    :class:`DecodeVideo` counts the video as one that cannot be read. Any other error of a sampler is the
    sampler's own fault, and ends the run.
    """


def presentation_times(results: dict) -> tuple[np.ndarray, float]:
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
    times = results['frame_times'][first : first + total]
    times = times - times[0]
    return times, times[-1] + (times[-1] - times[-2] if total > 1 else 1 / fps)


def reference_rate(results: dict) -> int:
    """Return the frame rate that the reference reckons with: without what comes after the point.

    Second k is frame k * 29 of a clip of 29.97 frames a second, half a second early after 16 seconds.

    Raises:
        UnsuitableVideoError: If the rate is below 1: the reference cannot read such a video.
    """
    # 1e-6: a rate that was computed from times may come out just below a whole number.
    fps = int(results['avg_fps'] + 1e-6)
    if fps < 1:
        raise UnsuitableVideoError(
            f'{results.get("filename")}: reference_times needs at least 1 frame per second, got '
            f'{results["avg_fps"]}'
        )
    return fps


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

    Args:
        reference_times (bool): Whether to narrow as the reference does: seconds count by its
            integer frame rate, and the end is included, so that DiDeMo's window from 0 to 31 s
            has 32 frames at one a second. ``DecodeVideo`` sets it as its sampler has it.
    """

    def __init__(self, reference_times: bool = False) -> None:
        self.reference_times = reference_times

    def transform(self, results: dict) -> dict:
        """Turn seconds into a first frame and a number of frames.

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
        # From the frame on show at the start to the last one that appears before the end.
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
