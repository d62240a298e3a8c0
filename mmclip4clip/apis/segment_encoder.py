"""Encode the segments of many video files, while other processes decode ahead."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from mmengine.runner.amp import autocast
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..models import CLIP4ClipRetriever
from ..models.features import Features, cat_features, move_features
from .frame_pipeline import FramePipeline
from .segment_parts import EncodedFile, FilePart, PreparedSegments, encode_parts_of_files, read_parts


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

    def __iter__(self) -> Iterator[FilePart]:
        worker = get_worker_info()
        files = self.files if worker is None else self.files[worker.id :: worker.num_workers]
        prepare = getattr(self.pipeline, 'prepare_segments', None)
        return read_parts(files, cast(Any, prepare), self.plan, self.describe)


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
    loader = DataLoader(parts, batch_size=None, num_workers=workers, collate_fn=_unchanged)
    yield from encode_parts_of_files(
        loader, lambda prepared: encode_segments(model, prepared, fp16), cat_features
    )


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
    encoded, segment_mask = contextualize_segments(model, prepared, fp16)
    with autocast(enabled=fp16):
        return move_features(model.pool(encoded, segment_mask), 'cpu')


@torch.no_grad()
def contextualize_segments(
    model: CLIP4ClipRetriever, prepared: PreparedSegments, fp16: bool = False
) -> tuple[Tensor, Tensor]:
    """Encode the frames of segments up to the pooling of the adapter; see :func:`encode_segments`.

    Returns:
        tuple[Tensor, Tensor]: Contextualized frames (S, T, D), and 1 for real frames and 0 for padding,
        (S, T), on the device of the model.
    """
    packed = prepared.packed
    inputs = {key: [value] for key, value in packed['inputs'].items()}
    with autocast(enabled=fp16):
        data = model.data_preprocessor(dict(inputs=inputs, data_samples=[packed['data_samples']]), False)
        frames, mask = data['inputs']['frames'], data['inputs']['frame_mask']  # (1, U, 3, H, W), (1, U)
        if getattr(model.backbone, 'frames_are_independent', False):
            features, segment_mask = _take(model.backbone.encode_frames(frames, mask)[0], prepared.positions)
            return model.adapter.contextualize(features, segment_mask), segment_mask
        taken, segment_mask = _take(frames[0], prepared.positions)
        return model.encode_frames(taken, segment_mask), segment_mask


def _take(frames: Tensor, positions: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Take the frames (U, ...) of each segment: (S, T, ...), padded with zeros, and the mask (S, T)."""
    taken = [frames[torch.from_numpy(places).to(frames.device)] for places in positions]
    lengths = torch.tensor([len(places) for places in positions], device=frames.device)
    mask = (torch.arange(int(lengths.max()), device=frames.device) < lengths[:, None]).long()
    return pad_sequence(taken, batch_first=True), mask
