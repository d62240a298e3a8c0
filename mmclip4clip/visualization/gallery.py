import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..datasets import DecodeVideo, SampleEvenly
from ..datasets.video_readers import VideoReadError

if TYPE_CHECKING:
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
    """Draw, for some captions, the right video beside the best answers.

    Args:
        path (Path): The picture to write.
        records (list[VideoRecord]): The evaluated videos, with ``scores``.
        queries (Sequence[tuple[int, int]]): The captions to show, each as its
            video and its number among that video's captions.
        ranks (Sequence[int]): Rank of the right video for each of them.
        top (int): Answers to show a caption; the right one is framed in green.
        title (str): Heading of the picture.
    """
    top = min(top, len(records))
    figure = Figure(figsize=(3.2 + 3.2 * (top + 1), 1.15 * len(queries) + 0.8), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(queries), top + 2, squeeze=False)
    strips: dict[int, np.ndarray | None] = {}

    def show(axis, video: int, text: str, own: int) -> None:
        if video not in strips:
            strips[video] = read_strip(records[video].filename, records[video].window)
        if strips[video] is None:
            axis.text(0.5, 0.5, 'cannot be read', ha='center', va='center')
        else:
            axis.imshow(strips[video])
        axis.set_title(text, fontsize=7, parse_math=False)
        for spine in axis.spines.values():
            spine.set(color=RIGHT if video == own else WRONG, linewidth=2.5)

    for row, (own, number), rank in zip(axes, queries, ranks):
        for axis in row:
            axis.set(xticks=[], yticks=[])
        row[0].axis('off')
        caption = textwrap.shorten(records[own].captions[number], 140)
        row[0].text(
            0,
            0.5,
            textwrap.fill(f'“{caption}”', 30) + f'\nrank {rank} of {len(records)}',
            va='center',
            fontsize=9,
            parse_math=False,
        )  # a $ is a $
        all_scores = records[own].scores
        if all_scores is None:
            raise ValueError(f'video {records[own].video_id!r} has no scores: they come from score_videos')
        scores = all_scores[number]
        show(row[1], own, f'right video, {scores[own]:.3f}', own)
        for place, (axis, video) in enumerate(zip(row[2:], np.argsort(-scores, kind='stable'))):
            show(axis, int(video), f'answer {place + 1}, {scores[video]:.3f}', own)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    canvas.print_figure(str(path))


def read_strip(
    filename: str, window: Sequence[float | None] = (None, None), num_frames: int = 4
) -> np.ndarray | None:
    """Read evenly spaced frames of a video, side by side.

    Args:
        filename (str): The video.
        window (Sequence[float | None]): Start and end in seconds.
        num_frames (int): Frames to show.

    Returns:
        np.ndarray: RGB, (96, W, 3) uint8, a white line after each frame but the
        last; None if the video cannot be read, so that one bad file does not
        cost the picture.
    """
    start, end = window or (None, None)
    decode = DecodeVideo(SampleEvenly(num_frames))
    try:
        frames = np.stack(decode(dict(filename=filename, start=start, end=end))['imgs'])
    except VideoReadError:
        return None
    width = round(frames.shape[2] * STRIP_HEIGHT / frames.shape[1])
    frames = np.stack([cv2.resize(f, (width, STRIP_HEIGHT)) for f in frames])
    frames[:-1, :, -2:] = 255  # a line between two frames
    return np.concatenate(frames, axis=1)
