import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..datasets import DecodeVideo, SampleEvenly
from ..datasets.transforms.sampling_at_times import SampleAtTimes
from ..datasets.video_readers import VideoReadError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..evaluation.records import VideoRecord

STRIP_HEIGHT = 96  # pixels
RIGHT, WRONG = '#1a9850', '#b0b0b0'


def draw_gallery(
    path: Path,
    records: list['VideoRecord'],
    queries: Sequence[tuple[int, int]],
    ranks: Sequence[int],
    top: int = 3,
    title: str = '',
) -> None:
    """Draw the right video and the best retrieved videos of some captions.

    Args:
        path (Path): Path of the picture.
        records (list[VideoRecord]): Evaluated videos with ``scores``.
        queries (Sequence[tuple[int, int]]): Captions to show, each as the index of its video and its number
            among the captions of that video.
        ranks (Sequence[int]): Rank of the right video of each caption.
        top (int): Number of retrieved videos per caption. The right one has a green frame.
        title (str): Heading of the picture.

    Raises:
        ValueError: If a record has no scores.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.evaluation import VideoRecord
        >>> record = VideoRecord('v1', 'missing.mp4', ['a cat'], scores=np.ones((1, 1)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'gallery.png')
        ...     draw_gallery(path, [record], queries=[(0, 0)], ranks=[1])
        ...     path.stat().st_size > 0
        True
    """
    unscored = [records[video].video_id for video, _ in queries if records[video].scores is None]
    if unscored:
        raise ValueError(f'video {unscored[0]!r} has no scores: score_videos sets them')
    top = min(top, len(records))
    figure = Figure(figsize=(3.2 + 3.2 * (top + 1), 1.3 * len(queries) + 0.8), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(queries), top + 2, squeeze=False)
    read = cache(lambda video: read_strip(records[video].filename, records[video].window))
    for row, (right, number), rank in zip(axes, queries, ranks):
        for axis in row:
            axis.set(xticks=[], yticks=[])
        draw_caption(row[0], records[right].captions[number], rank, len(records))
        scores = np.asarray(records[right].scores)[number]
        draw_strip(
            row[1], read(right), f'right video, {scores[right]:.3f}\n{video_name(records[right])}', RIGHT
        )
        for place, (axis, video) in enumerate(zip(row[2:], np.argsort(-scores, kind='stable'))):
            color = RIGHT if video == right else WRONG
            heading = f'rank {place + 1}, {scores[video]:.3f}\n{video_name(records[video])}'
            draw_strip(axis, read(video), heading, color)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    canvas.print_figure(str(path))


def video_name(record: 'VideoRecord', length: int = 44) -> str:
    """Return the file name of a video, without the middle if it is long, and its window in seconds if any."""
    name = shorten_name(Path(record.filename).name, length)
    if record.window and any(second is not None for second in record.window):
        start, end = (f'{second:g}' if second is not None else '' for second in record.window)
        name += f' {start}-{end} s'
    return name


def shorten_name(name: str, length: int) -> str:
    """Return a name of at most so many characters, without its middle if it is longer."""
    return name if len(name) <= length else f'{name[: length // 2]}…{name[1 - length // 2 :]}'


def draw_caption(axis: 'Axes', caption: str, rank: int, total: int) -> None:
    """Write a shortened caption and the rank of its video."""
    axis.axis('off')
    caption = textwrap.shorten(caption, 140)
    text = textwrap.fill(f'“{caption}”', 30) + f'\nrank {rank} of {total}'
    axis.text(0, 0.5, text, va='center', fontsize=9, parse_math=False)  # a $ is a $


def draw_strip(
    axis: 'Axes', strip: np.ndarray | None, title: str, color: str, fault: str = 'cannot be read'
) -> None:
    """Draw frames with a title and a colored border, or in their place why there are none."""
    if strip is None:
        axis.text(0.5, 0.5, fault, ha='center', va='center')
    else:
        axis.imshow(strip)
    axis.set_title(title, fontsize=7, parse_math=False)
    for spine in axis.spines.values():
        spine.set(color=color, linewidth=2.5)


def read_strip(
    filename: str,
    window: Sequence[float | None] = (None, None),
    num_frames: int = 4,
    times: Sequence[float] | None = None,
) -> np.ndarray | None:
    """Read evenly spaced frames of a video, or those at given times, side by side.

    Args:
        filename (str): Path of the video.
        window (Sequence[float | None]): Start and end in seconds.
        num_frames (int): Number of frames.
        times (Sequence[float], optional): Seconds from the first frame of the video to each frame to read;
            then ``window`` and ``num_frames`` have no effect.

    Returns:
        np.ndarray: RGB, (96, W, 3) uint8, with white lines between the frames. None if the video cannot be
        read, so that the picture can be drawn without it.
    """
    start, end = (window or (None, None)) if times is None else (None, None)
    decode = DecodeVideo(SampleEvenly(num_frames) if times is None else SampleAtTimes(times))
    try:
        frames = np.stack(decode(dict(filename=filename, start=start, end=end))['imgs'])
    except VideoReadError:
        return None
    width = round(frames.shape[2] * STRIP_HEIGHT / frames.shape[1])
    frames = np.stack([cv2.resize(f, (width, STRIP_HEIGHT)) for f in frames])
    frames[:-1, :, -2:] = 255  # a line between two frames
    return np.concatenate(frames, axis=1)
