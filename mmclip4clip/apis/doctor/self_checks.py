"""Checks that run this package: videos are decoded correctly, and malicious checkpoints are refused."""

import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import CheckpointLoader

from ...checkpoint_file import CheckpointFileError
from ...compat import apply_patches
from ...datasets import DecodeVideo, SampleEvenly
from ...datasets.video_readers import VideoReadError
from ...datasets.video_readers.backends import BACKENDS
from ...datasets.video_readers.libraries import PACKAGES
from ...moving_shapes.generator import write_video
from .finding import OK, PROBLEM, Finding

FRAMES, SIZE, TOLERANCE = 6, 64, 12  # frames, pixels, gray levels: H.264 changes values a little


def examine_package() -> Iterator[Finding]:
    """Yield a finding for each installed video backend, and for the checkpoint guard."""
    apply_patches()
    with tempfile.TemporaryDirectory() as folder:
        clip, frames = Path(folder, 'clip.mp4'), gray_frames()
        try:
            write_video(clip, frames)
        except Exception as error:  # libraries of FFmpeg raise different errors
            yield Finding(
                'video', PROBLEM, f'no clip can be written: {error}', 'pip install --force-reinstall av'
            )
        else:
            for backend in BACKENDS:
                yield check_decoding(backend, clip, frames)
        yield check_guard(Path(folder))


def gray_frames() -> np.ndarray:
    """Return frames of increasing brightness, (T, H, W, 3) uint8."""
    levels = np.linspace(30, 220, FRAMES).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (FRAMES, SIZE, SIZE, 3)).copy()


def check_decoding(backend: str, clip: Path, frames: np.ndarray) -> Finding:
    """Decode a clip, and compare all frames with those that were written.

    Args:
        backend (str): One of ``BACKENDS``.
        clip (Path): The video file.
        frames (np.ndarray): The written frames, (T, H, W, 3) uint8.
    """
    name, (module, package) = f'video by {backend}', PACKAGES[backend]
    if find_spec(module) is None:
        return Finding(name, OK, f'not installed (optional: pip install {package})')
    try:
        decoded = DecodeVideo(SampleEvenly(len(frames)), [backend])(dict(filename=str(clip)))['imgs']
    except (VideoReadError, ImportError, OSError) as error:
        return Finding(name, PROBLEM, str(error), f'pip install --force-reinstall {package}')
    difference = np.abs(np.stack(decoded).astype(int) - frames).max()
    if difference > TOLERANCE:
        text = f'frames differ by up to {difference} of 255'
        return Finding(name, PROBLEM, text, f'choose another one of DecodeVideo.backends: {list(BACKENDS)}')
    return Finding(
        name, OK, f'{len(frames)} frames of {frames.shape[2]}x{frames.shape[1]} decoded as written'
    )


class _CreateFile:
    """Unpickles to a call that creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), 'w')


def check_guard(folder: Path) -> Finding:
    """Load a checkpoint that would create a file, through mmengine's loader."""
    created, checkpoint = folder / 'created', folder / 'malicious.pth'
    torch.save(dict(state_dict={}, meta=_CreateFile(created)), checkpoint)
    try:
        CheckpointLoader.load_checkpoint(str(checkpoint), map_location='cpu')
        refused = False
    except CheckpointFileError:
        refused = True
    if refused and not created.exists():
        return Finding('checkpoint guard', OK, 'a malicious checkpoint is refused')
    return Finding(
        'checkpoint guard',
        PROBLEM,
        'a malicious checkpoint ran its code'
        if created.exists()
        else 'a malicious checkpoint is not refused',
        'load no checkpoints from others, and report these versions',
    )
