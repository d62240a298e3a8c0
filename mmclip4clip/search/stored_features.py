"""The features of videos as bytes in half precision, without padding, and back."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..models.features import Features, join_features
from .feature_layout import DTYPES, HALF, MASK, FeatureLayout


def pack_features(layout: FeatureLayout, videos: Features) -> list[bytes]:
    """Turn the features of V videos into the bytes of each.

    Args:
        layout (FeatureLayout): Layout of the features.
        videos (dict[str, Tensor]): Features, with V first in each part. Real frames precede padding.

    Returns:
        list[bytes]: Content to store for each video, of ``layout.num_bytes`` of its real frames.

    Raises:
        ValueError: If features do not fit the layout, a video has no real frames or has padding before them,
            or half precision cannot hold a value.

    Examples:
        >>> videos = dict(frames=torch.rand(2, 3, 64), frame_mask=torch.tensor([[1, 1, 1], [1, 0, 0]]))
        >>> [len(content) for content in pack_features(FeatureLayout.of(videos), videos)]
        [384, 128]
    """
    videos = {name: part.detach().cpu() for name, part in videos.items()}
    _check_parts(layout, videos)
    counts = _count_frames(videos[MASK]) if MASK in videos else []
    return [
        b''.join(
            _to_bytes(videos[name][index][: counts[index]] if part.per_frame else videos[name][index], name)
            for name, part in layout.stored.items()
        )
        for index in range(len(next(iter(videos.values()))))
    ]


def unpack_features(
    layout: FeatureLayout, contents: Sequence[bytes], device: torch.device | str = 'cpu'
) -> Features:
    """Turn the bytes of V videos into their features, padded with zeros to the longest.

    Args:
        layout (FeatureLayout): Layout of the features.
        contents (Sequence[bytes]): Output of :func:`pack_features`, of one video at least.
        device (torch.device | str): Device of the features.

    Returns:
        dict[str, Tensor]: Features, with V first in each part, and ``frame_mask`` (V, T) if the layout has
        it.

    Raises:
        ValueError: If there are no videos, or contents are damaged or of another layout.

    Examples:
        >>> videos = dict(frames=torch.ones(2, 3, 4), frame_mask=torch.tensor([[1, 1, 1], [1, 0, 0]]))
        >>> layout = FeatureLayout.of(videos)
        >>> unpack_features(layout, pack_features(layout, videos))['frame_mask']
        tensor([[1, 1, 1],
                [1, 0, 0]])
    """
    if not len(contents):
        raise ValueError('there are no stored features to read: contents is empty')
    joined = join_features([_read(layout, content) for content in contents])
    return {name: joined[name].to(device).to(DTYPES[part.dtype]) for name, part in layout.parts.items()}


def _check_parts(layout: FeatureLayout, videos: Features) -> None:
    """Raise an error if features have other parts or shapes than the layout."""
    found = {name: tuple(part.shape[1:]) for name, part in videos.items()}
    frames = found.get(MASK, ())[:1]
    expected = {
        name: (*frames, *part.shape) if part.per_frame else part.shape for name, part in layout.parts.items()
    }
    if found != expected:
        raise ValueError(f'expected features of the shapes {expected} per video, got {found}')


def _count_frames(frame_mask: Tensor) -> list[int]:
    """Count the real frames of each video of a mask (V, T)."""
    mask = frame_mask.bool()
    counts = mask.sum(dim=1)
    wrong = (mask != (torch.arange(mask.shape[1]) < counts[:, None])).any(dim=1) | (counts == 0)
    if wrong.any():
        index = int(wrong.nonzero()[0])
        raise ValueError(
            f'frame_mask of video {index} must have one or more real frames, and padding only after them, '
            f'got {frame_mask[index].int().tolist()}'
        )
    return counts.tolist()


def _to_bytes(values: Tensor, name: str) -> bytes:
    """Convert values to half precision.

    Raises:
        ValueError: If they are not finite there, or are other integers.
    """
    half = values.to(torch.float16)
    if not torch.isfinite(half).all():
        what = 'is NaN' if values.isnan().any() else f'has values up to {float(values.abs().max()):g}'
        raise ValueError(
            f'features cannot be stored: {name} of a video {what}; half precision holds finite values up to '
            f'{torch.finfo(torch.float16).max:g}'
        )
    if not values.is_floating_point() and (half.to(values.dtype) != values).any():
        raise ValueError(
            f'features cannot be stored: {name} of a video has integers beyond 2048 that half precision '
            'rounds'
        )
    return half.numpy().astype(HALF).tobytes()


def _read(layout: FeatureLayout, content: bytes) -> Features:
    """Read one video; the frames come first in parts with one row per frame."""
    (whole, per_frame), size = layout.sizes, len(content)
    left, count = size - HALF.itemsize * whole, 0
    if per_frame:
        count = max(1, left // (HALF.itemsize * per_frame))
    if size != layout.num_bytes(count):
        expected = f'{layout.num_bytes(0)} bytes' + f' and {HALF.itemsize * per_frame} per frame' * bool(
            per_frame
        )
        raise ValueError(
            f'stored features have {size} bytes instead of {expected}: damaged, or of another model'
        )
    values, video, start = np.frombuffer(content, HALF).astype(np.float16), {}, 0
    for name, part in layout.stored.items():
        shape = (count, *part.shape) if part.per_frame else part.shape
        end = start + part.size * (count if part.per_frame else 1)
        video[name], start = torch.from_numpy(values[start:end].reshape(shape)), end
    if MASK in layout.parts:
        video[MASK] = torch.ones(count, dtype=torch.float16)
    return video
