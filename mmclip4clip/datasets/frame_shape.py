"""Find the number and size of the frames that a pipeline returns, without reading a video."""

import logging
from typing import NamedTuple

import numpy as np
from mmengine.dataset import Compose
from mmengine.logging import print_log

from ..random_states import preserve_random_states
from .pipeline_steps import find_step
from .transforms import CacheFrames, DecodeVideo, TimeWindow, TokenizeCaptions, TokenizeTargets

# Probes: video lengths in frames, at one frame per second, and frame sizes (H, W).
LENGTHS, SIZES = (5_000, 50_000), ((720, 1280), (960, 544))


class FrameShape(NamedTuple):
    """Maximum number of frames of a pipeline, and their size (H, W); None if it depends on the video.

    Examples:
        >>> from mmclip4clip.datasets import DecodeVideo, ResizeCenterCrop, SampleEvenly
        >>> find_frame_shape([DecodeVideo(SampleEvenly(num_frames=4)), ResizeCenterCrop(size=32)])
        FrameShape(num_frames=4, size=(32, 32))
    """

    num_frames: int | None
    size: tuple[int, int] | None


def frame_steps(transforms: list) -> tuple[list, list]:
    """Return the transforms that select frames, and those that modify them afterwards.

    Transforms that open, decode, cache or pack are left out, because they do not change what the model sees.
    """
    sampling: list = []
    changing: list = []
    decoded = False
    for step in transforms:
        name = type(step).__name__
        if isinstance(step, (CacheFrames, DecodeVideo)):
            inner = step.transforms if isinstance(step, CacheFrames) else step.sampling
            parts = frame_steps(inner.transforms)
            sampling, changing = sampling + parts[0], changing + parts[1]
            decoded |= (
                isinstance(step, DecodeVideo)
                or find_step(inner.transforms, DecodeVideo) is not None
                or any(type(s).__name__.endswith('Decode') for s in inner.transforms)
            )
        elif name.endswith(('Init', 'Decode')):
            decoded |= name.endswith('Decode')
        elif not isinstance(step, (TimeWindow, TokenizeCaptions, TokenizeTargets)) and not name.startswith(
            ('Pack', 'Format')
        ):
            (changing if decoded else sampling).append(step)
    return sampling, changing


def find_frame_shape(transforms: list) -> FrameShape:
    """Run a pipeline's transforms on empty frames to find the number and size of their output.

    Nothing is decoded, and the states of the random number generators are restored.
    """
    sampling, changing = frame_steps(transforms)
    with preserve_random_states():
        counts = {_count(sampling, length) for length in LENGTHS}
        shapes = {_shape(changing, size) for size in SIZES}
    count = counts.pop() if len(counts) == 1 else None
    copies, size = shapes.pop() if len(shapes) == 1 else (None, None)
    return FrameShape(None if count is None or copies is None else count * copies, size)


def _count(sampling: list, length: int) -> int | None:
    """Return the number of frames sampled from a video of ``length`` frames; None if unknown."""
    video = dict(filename='probe', total_frames=length, start_index=0, avg_fps=1.0, modality='RGB')
    results = _run(sampling, video)
    return None if results is None or 'frame_inds' not in results else int(np.size(results['frame_inds']))


def _shape(changing: list, size: tuple[int, int]) -> tuple[int | None, tuple[int, int] | None]:
    """Return the number of output frames per input frame, and their size (H, W)."""
    frame = dict(
        filename='probe',
        imgs=[np.zeros((*size, 3), np.uint8)],
        img_shape=size,
        original_shape=size,
        modality='RGB',
        num_clips=1,
        clip_len=1,
        frame_inds=np.zeros(1, int),
    )
    results = _run(changing, frame) if changing else None
    if results is None:
        return (None, None) if changing else (1, None)
    sizes = {np.shape(img)[:2] for img in results['imgs']}
    return len(results['imgs']), sizes.pop() if len(sizes) == 1 else None


def _run(transforms: list, results: dict) -> dict | None:
    try:
        return Compose(list(transforms))(results)
    except Exception as error:  # custom transforms may need other keys; the cause is reported
        print_log(
            f'the output of the transforms {transforms} cannot be determined in advance: {error!r}',
            logger='current',
            level=logging.DEBUG,
        )
        return None
