import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class TimeWindow(BaseTransform):
    """Narrow a video to the seconds that its annotation names.

    Stands between ``DecordInit`` and any sampler, ours or mmaction2's: a
    sampler then sees the window as if it were the whole video. Without
    ``start`` and ``end`` it changes nothing.

    Required Keys:

    - total_frames (int)
    - start_index (int)
    - avg_fps (float, frames per second; with a window only)
    - start (float, seconds, optional)
    - end (float, seconds, optional)

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
        fps, total = results['avg_fps'], results['total_frames']
        start, end = results.get('start') or 0.0, results.get('end')
        first = int(np.floor(start * fps + 1e-6))
        last = total if end is None else min(total, int(np.ceil(end * fps - 1e-6)))
        if first >= total:
            raise ValueError(f"{results.get('filename')}: the window starts at {start} s, but the "
                             f'video ends at {total / fps:.2f} s')
        results['total_frames'] = max(1, last - first)
        results['start_index'] = results['start_index'] + first
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
        step = max(1.0, video_fps / self.fps)
        # 1e-6: so that 25.0 / 1.0 lands on frame 25 and not on 24 by rounding.
        inds = np.floor(np.arange(np.ceil(total / step)) * step + 1e-6)
        inds = inds[inds < total]
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
