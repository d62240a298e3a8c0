"""Encode the segments of many video files, while other processes decode ahead."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.runner.amp import autocast
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..datasets.remote_files import local_copy
from ..datasets.video_readers import VideoReadError, VideoUnavailableError
from ..models import CLIP4ClipRetriever
from ..models.features import Features, cat_features, move_features
from .frame_pipeline import FramePipeline, PreparedSegments

Window = tuple[float | None, float | None]


class EncodedFile(NamedTuple):
    """The segments of a video file.

    Args:
        filename (str): The file.
        duration (float): In seconds; 0 if it cannot be read.
        segments (list[tuple]): Start and end of each segment in seconds; (None, None) is the whole video.
        features (dict[str, Tensor] | None): Features of the segments on the CPU, with one row each.
        note (Any): What ``describe`` returned for the file.
        unreadable (str | None): Reason why it cannot be read.
        retry (bool): Whether the reason may pass by itself, such as storage that does not answer.
        missing_frames (int): Number of frames at the end that cannot be decoded.

    Examples:
        >>> EncodedFile('v.mp4', 2.0, [(None, None)], dict(video=torch.ones(1, 4)), None).unreadable is None
        True
    """

    filename: str
    duration: float
    segments: list[Window]
    features: Features | None
    note: Any
    unreadable: str | None = None
    retry: bool = False
    missing_frames: int = 0


class _Part(NamedTuple):
    """A chunk of a file, or its end: without ``prepared``."""

    filename: str
    prepared: PreparedSegments | None
    note: Any = None
    unreadable: str | None = None
    retry: bool = False


class SegmentParts(IterableDataset):
    """Chunks of the segments of files; each worker takes every n-th file.

    Args:
        files (Sequence[str]): Paths, or URLs, which are downloaded.
        pipeline (FramePipeline): Decodes and packs.
        plan (Callable): Returns the segments of a file with a duration, see :class:`SegmentDecoder`.
        describe (Callable, optional): Called with each path in the process that decodes it; its result is
            the ``note`` of the file. An ``OSError`` makes the file unreadable.

    Examples:
        >>> parts = SegmentParts(['no.mp4'], pipeline=None, plan=None, describe=open)
        >>> [part.retry for part in parts]
        [True]
    """

    def __init__(
        self,
        files: Sequence[str],
        pipeline: FramePipeline,
        plan: Callable,
        describe: Callable[[str], Any] | None = None,
    ) -> None:
        self.files, self.pipeline, self.plan, self.describe = list(files), pipeline, plan, describe

    def __iter__(self) -> Iterator[_Part]:
        worker = get_worker_info()
        files = self.files if worker is None else self.files[worker.id :: worker.num_workers]
        for filename in files:
            path = filename
            try:
                with local_copy(filename) as path:
                    note = None if self.describe is None else self.describe(path)
                    item = dict(filename=path, video_id=filename, video_key=filename)
                    for prepared in self.pipeline.prepare_segments(item, self.plan):
                        yield _Part(filename, prepared)
            except (VideoReadError, OSError) as error:
                retry = isinstance(error, (VideoUnavailableError, OSError))
                reason = (str(error) or repr(error)).replace(path, filename)  # not the copy of a URL
                yield _Part(filename, None, None, reason, retry)
            else:
                yield _Part(filename, None, note)


def encode_parts(
    model: CLIP4ClipRetriever, parts: SegmentParts, num_workers: int, fp16: bool
) -> Iterator[EncodedFile]:
    """Encode files as they are decoded.

    Args:
        model (CLIP4ClipRetriever): The model, on its device, in evaluation mode.
        parts (SegmentParts): The files.
        num_workers (int): Processes that decode ahead; 0 decodes in this one.
        fp16 (bool): Whether to encode in mixed precision.

    Yields:
        EncodedFile: Each file, in the order in which they are ready.
    """
    workers = min(num_workers, len(parts.files))
    open_files: dict[str, list[tuple[PreparedSegments, Features]]] = {}
    for part in DataLoader(parts, batch_size=None, num_workers=workers, collate_fn=_unchanged):
        done = open_files.setdefault(part.filename, [])
        if part.prepared is not None:
            features = encode_segments(model, part.prepared, fp16)
            done.append((part.prepared._replace(packed={}), features))  # without the frames
            continue
        del open_files[part.filename]
        reason = part.unreadable
        if reason is None and not done:
            reason = 'it has no segment with a frame that can be decoded'
        if reason is not None:
            yield EncodedFile(part.filename, 0.0, [], None, part.note, reason, part.retry)
            continue
        segments = [segment for prepared, _ in done for segment in prepared.segments]
        features = cat_features([features for _, features in done])
        missing = max(prepared.missing_frames for prepared, _ in done)
        duration = done[0][0].duration
        yield EncodedFile(part.filename, duration, segments, features, part.note, missing_frames=missing)


def _unchanged(part: Any) -> Any:
    return part


@torch.no_grad()
def encode_segments(model: CLIP4ClipRetriever, prepared: PreparedSegments, fp16: bool = False) -> Features:
    """Encode segments of one video that share frames.

    Each frame passes the backbone once, unless the backbone relates the frames of a video to one another.

    Args:
        model (CLIP4ClipRetriever): The model, on its device.
        prepared (PreparedSegments): S segments with U different frames.
        fp16 (bool): Whether to encode in mixed precision.

    Returns:
        dict[str, Tensor]: Features on the CPU, with S first.
    """
    packed = prepared.packed
    inputs = {key: [value] for key, value in packed['inputs'].items()}
    with autocast(enabled=fp16):
        data = model.data_preprocessor(dict(inputs=inputs, data_samples=[packed['data_samples']]), False)
        frames, mask = data['inputs']['frames'], data['inputs']['frame_mask']  # (1, U, 3, H, W), (1, U)
        if getattr(model.backbone, 'frames_are_independent', False):
            features, segment_mask = _take(model.backbone.encode_frames(frames, mask)[0], prepared.positions)
            encoded = model.adapter.contextualize(features, segment_mask)
        else:
            taken, segment_mask = _take(frames[0], prepared.positions)
            encoded = model.encode_frames(taken, segment_mask)
        return move_features(model.pool(encoded, segment_mask), 'cpu')


def _take(frames: Tensor, positions: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Take the frames (U, ...) of each segment: (S, T, ...), padded with zeros, and the mask (S, T)."""
    taken = [frames[torch.from_numpy(places).to(frames.device)] for places in positions]
    lengths = torch.tensor([len(places) for places in positions], device=frames.device)
    mask = (torch.arange(int(lengths.max()), device=frames.device) < lengths[:, None]).long()
    return pad_sequence(taken, batch_first=True), mask
