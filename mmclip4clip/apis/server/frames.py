"""Frames of videos as JPEG, decoded in processes with limits of time and memory, and kept for a while."""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from ...datasets import DecodeVideo
from ...datasets.transforms.time_window import presentation_times
from .limits import Limits
from .worker_pool import WorkerPool

QUALITY = 85  # of JPEG
LINE = 2  # white pixels between two frames of a strip
CHECKED_FRAMES = 8  # of an uploaded video


class FramesAt:
    """Samples the frames shown at the times ``results['at']`` in seconds; without them, frames of all parts.

    Examples:
        >>> video = dict(total_frames=50, start_index=0, avg_fps=10.0)
        >>> FramesAt()(dict(video, at=[0, 2.1, 99]))['frame_inds'].tolist()
        [0, 21, 49]
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Choose the frame indices of a video; after its end, the last one."""
        times, duration = presentation_times(results)
        even = np.linspace(0, duration, CHECKED_FRAMES)
        wanted = even if results.get('at') is None else np.asarray(results['at'], np.float64)
        places = np.searchsorted(times, wanted + 1e-6, 'right') - 1
        results['frame_inds'] = np.clip(places, 0, len(times) - 1).astype(np.int32)
        return results


class FrameReader:
    """Decodes a few videos at once, each in a process that is killed if it works too long.

    Args:
        limits (Limits): Number of decoders, time, memory, and size of the cache.

    Examples:
        >>> reader = FrameReader(Limits())
        >>> await reader.jpeg('key', '/videos/dog.mp4', [1.5], 180)  # doctest: +SKIP
        b'...'
        >>> reader.close()
    """

    def __init__(self, limits: Limits) -> None:
        self._pool = WorkerPool('frames', limits.decodes, waiting=200)
        self._decoders: queue.SimpleQueue[DecodeVideo] = queue.SimpleQueue()
        for _ in range(limits.decodes + 1):  # one for uploads
            self._decoders.put(
                DecodeVideo(FramesAt(), time_limit=limits.decode_seconds, max_bytes=limits.decode_bytes)
            )
        self._cache = ByteCache(limits.cache_bytes)

    async def jpeg(
        self, key: Hashable, filename: str, times: Sequence[float], height: int, check: Callable[[], Any]
    ) -> bytes:
        """Return the frames at some times side by side.

        Args:
            key (Hashable): What determines the picture, to keep it.
            filename (str): The video.
            times (Sequence[float]): In seconds.
            height (int): Of the picture in pixels; frames that are lower keep their height.
            check (Callable): Called before and after the video is read; raises if it may not be.

        Raises:
            VideoReadError: If the video cannot be read.
            RequestError: With status 503 if too many others wait.
        """
        found = self._cache.get(key)
        if found is None:
            found = await self._pool.run(self._make, filename, times, height, check)
            self._cache.put(key, found)
        return found

    def check(self, filename: str) -> None:
        """Decode frames of the whole video, to find out whether it can be read.

        Raises:
            VideoReadError: If it cannot.
        """
        self._decode(filename, None)

    def close(self) -> None:
        """End the decoders."""
        self._pool.close()
        while not self._decoders.empty():
            process = self._decoders.get()._process
            if process is not None:
                process.close()

    def _make(self, filename: str, times: Sequence[float], height: int, check: Callable[[], Any]) -> bytes:
        check()
        frames = self._decode(filename, times)
        check()  # it has not been replaced meanwhile
        return encode_strip(frames, height)

    def _decode(self, filename: str, times: Sequence[float] | None) -> list[np.ndarray]:
        with self._decoder() as decode:
            return decode(dict(filename=filename, at=times))['imgs']

    @contextmanager
    def _decoder(self) -> Iterator[DecodeVideo]:
        decode = self._decoders.get()
        try:
            yield decode
        finally:
            self._decoders.put(decode)


class ByteCache:
    """Keeps what was used last, up to a number of bytes. Threads may share it.

    Args:
        max_bytes (int): Of all values.

    Examples:
        >>> cache = ByteCache(3)
        >>> cache.put('a', b'12'), cache.put('b', b'34')
        (None, None)
        >>> cache.get('a'), cache.get('b')
        (None, b'34')
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._values: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> bytes | None:
        """Return a value; None if it is not kept."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Hashable, value: bytes) -> None:
        """Keep a value, and drop those that were not used for longest."""
        with self._lock:
            self.bytes += len(value) - len(self._values.pop(key, b''))
            self._values[key] = value
            while self.bytes > self.max_bytes:
                self.bytes -= len(self._values.popitem(last=False)[1])


def encode_strip(frames: Sequence[np.ndarray], height: int) -> bytes:
    """Return frames side by side as JPEG.

    Args:
        frames (Sequence[np.ndarray]): RGB, (H, W, 3) uint8 each, of one size.
        height (int): In pixels; lower frames are not enlarged.
    """
    height = min(height, frames[0].shape[0])
    width = max(1, round(frames[0].shape[1] * height / frames[0].shape[0]))
    resized = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    for frame in resized[:-1]:
        frame[:, -LINE:] = 255
    picture = np.concatenate(resized, axis=1)
    done, content = cv2.imencode('.jpg', picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise RuntimeError('the frames cannot be written as JPEG')
    return content.tobytes()
