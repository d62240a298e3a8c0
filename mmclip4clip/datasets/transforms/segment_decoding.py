"""Decode the frames of many segments of a video in one pass."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..video_readers import VideoReader, VideoReadError
from .decoding import DecodeVideo, combined_error
from .resizing import check_sides
from .time_window import presentation_times

Window = tuple[float | None, float | None]  # start and end in seconds; (None, None) is the whole video
MAX_FRAMES = 64  # per chunk
COPIES = 4  # of a chunk's frames in memory, at most: in the decoder, on their way, here, and resized


class SegmentFrames(NamedTuple):
    """Frames of some segments of a video, each frame once.

    Args:
        results (dict): As :class:`DecodeVideo` returns them, with the U different frames as ``imgs``.
        segments (list[tuple]): Start and end of each segment in seconds.
        positions (list[np.ndarray]): Positions of the frames of each segment in ``imgs``, (T,).
        duration (float): Of the whole video in seconds.
        missing_frames (int): Number of frames at the end that cannot be decoded, as far as known by now.
        times (np.ndarray): Seconds from the first frame of the video to each frame of ``imgs``, (U,).

    Examples:
        >>> SegmentFrames(dict(imgs=[]), [(None, None)], [np.arange(0)], 1.0).duration
        1.0
    """

    results: dict
    segments: list[Window]
    positions: list[np.ndarray]
    duration: float
    missing_frames: int = 0
    times: np.ndarray = np.zeros(0)


class SegmentDecoder:
    """Samples every segment of a video like a video, and decodes each frame once.

    Overlapping segments share frames. Long videos are returned in chunks of segments, so that memory is
    bounded. The file is opened once per backend.

    Args:
        decode (DecodeVideo): Samplers, backends and limits. Its time limit applies to each chunk.
        max_frames (int): Different frames per chunk; a segment with more is a chunk by itself.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.datasets import SampleAtRate
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> decode = SegmentDecoder(DecodeVideo(SampleAtRate(fps=1, max_frames=12), time_limit=None))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((40, 48, 64, 3), np.uint8), fps=10)
        ...     plan = lambda filename, duration: [(None, None), (0, 2), (1, 3)]
        ...     chunks = list(decode(dict(filename=f'{folder}/v.mp4'), plan))
        >>> [positions.tolist() for positions in chunks[0].positions], len(chunks[0].results['imgs'])
        ([[0, 1, 2, 3], [0, 1], [1, 2]], 4)
    """

    def __init__(self, decode: DecodeVideo, max_frames: int = MAX_FRAMES) -> None:
        self.decode, self.max_frames = decode, max_frames

    def __call__(
        self, results: dict, plan: Callable[[str, float], Sequence[Window]]
    ) -> Iterator[SegmentFrames]:
        """Decode the segments of one video.

        Args:
            results (dict): With ``filename``.
            plan (Callable): Returns the segments of a file with a duration in seconds. Segments after the
                last decodable frame are left out.

        Yields:
            SegmentFrames: A chunk of segments, in the order of the plan.

        Raises:
            VideoReadError: If no backend can read it; see :meth:`DecodeVideo.transform`.
        """
        errors: dict[str, VideoReadError] = {}
        filename, todo = results['filename'], None
        for backend in self.decode.backends_to_try(errors):
            try:
                with self.decode.open(backend, filename) as reader:
                    video = dict(self.decode.describe_video(reader, results), backend=backend)
                    times, duration = presentation_times(video)
                    todo = list(plan(filename, duration)) if todo is None else todo
                    known: dict[int, np.ndarray] = {}
                    while todo:
                        chunk, count = self._read_chunk(reader, video, todo, known)
                        del todo[:count]
                        if chunk[1]:
                            missing = video['total_frames'] - reader.num_frames
                            shown = times[chunk[0]['frame_inds']]
                            yield SegmentFrames(*chunk, duration, missing, shown)
                        reader.restart_time_limit()
                    return
            except VideoReadError as error:
                errors[backend] = error
        raise combined_error(filename, errors)

    def _read_chunk(
        self, reader: VideoReader, video: dict, todo: list[Window], known: dict[int, np.ndarray]
    ) -> tuple[tuple[dict, list[Window], list[np.ndarray]], int]:
        """Read the next segments; return them, and how many of ``todo`` they are with those left out.

        ``known`` has the frames of the chunk before by index, and gets those of this one.
        """
        sampled, count = self._choose(video, todo, self._frames_at_once(reader, video, todo, known))
        wanted = sorted({index for _, indices, _ in sampled for index in indices.tolist()})
        missing = [index for index in wanted if index not in known]
        read = dict(zip(missing, reader.read(missing))) if missing else {}
        frames = {index: known[index] if index in known else read[index] for index in wanted}
        last = reader.num_frames - 1  # lower than before if the video ends early
        if wanted and wanted[-1] > last:
            frames[last] = frames[wanted[-1]]
        kept = [(segment, np.minimum(indices, last)) for segment, indices, first in sampled if first <= last]
        used = sorted({index for _, indices in kept for index in indices.tolist()})
        imgs = [frames[index] for index in used]
        results = dict(video, imgs=imgs, clip_len=len(imgs), num_clips=1, frame_inds=np.array(used, np.int32))
        if imgs:
            check_sides(*imgs[0].shape[1::-1])
            results['img_shape'] = results['original_shape'] = imgs[0].shape[:2]
        known.clear()
        known.update({index: frames[index].copy() for index in used})  # later transforms may work in place
        positions = [np.searchsorted(used, indices) for _, indices in kept]
        return (results, [segment for segment, _ in kept], positions), count

    def _choose(
        self, video: dict, todo: list[Window], frames_at_once: int
    ) -> tuple[list[tuple[Window, np.ndarray, int]], int]:
        """Sample the next segments: each with its frames (T,) and the first frame of its window."""
        sampled: list[tuple[Window, np.ndarray, int]] = []
        wanted: set[int] = set()
        for count, segment in enumerate(todo):
            start, end = segment
            try:
                drawn, indices = self.decode.sample_frames(dict(video, start=start, end=end))
            except VideoReadError:
                if segment == (None, None):
                    raise
                continue  # the video ends before it
            wanted.update(indices.tolist())
            if sampled and len(wanted) > frames_at_once:
                return sampled, count
            sampled.append((segment, np.minimum(indices, video['total_frames'] - 1), drawn['start_index']))
        return sampled, len(todo)

    def _frames_at_once(
        self, reader: VideoReader, video: dict, todo: list[Window], known: dict[int, np.ndarray]
    ) -> int:
        """Find the number of frames that memory allows, from the size of one."""
        if self.decode.max_bytes is None:
            return self.max_frames
        if not known:
            first = self._choose(video, todo, 1)[0]
            if first:
                index = int(first[0][1].min())
                known[index] = reader.read([index])[0]
        size = max((frame.nbytes for frame in known.values()), default=1)
        return min(self.max_frames, max(1, self.decode.max_bytes // (COPIES * size)))
