"""The features of videos as bytes in half precision, without padding, and back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .feature_layout import DTYPES, HALF, MASK, FeatureLayout

if TYPE_CHECKING:
    import torch

    from ..models.features import Features

Arrays = dict[str, np.ndarray]


def pack_features(layout: FeatureLayout, videos: 'Features | Arrays') -> list[bytes]:
    """Turn the features of V videos into the bytes of each.

    Args:
        layout (FeatureLayout): Layout of the features.
        videos (dict[str, Tensor | np.ndarray]): Features, with V first in each part. Real frames precede
            padding.

    Returns:
        list[bytes]: Content to store for each video, of ``layout.num_bytes`` of its real frames.

    Raises:
        ValueError: If features do not fit the layout, a video has no real frames or has padding before them,
            or half precision cannot hold a value.

    Examples:
        >>> videos = dict(frames=np.ones((2, 3, 64)), frame_mask=np.array([[1, 1, 1], [1, 0, 0]]))
        >>> [len(content) for content in pack_features(FeatureLayout.of(videos), videos)]
        [384, 128]
    """
    parts = {name: _as_array(part) for name, part in videos.items()}
    _check_parts(layout, parts)
    counts = _count_frames(parts[MASK]) if MASK in parts else []
    return [
        b''.join(
            _to_bytes(parts[name][index][: counts[index]] if part.per_frame else parts[name][index], name)
            for name, part in layout.stored.items()
        )
        for index in range(len(next(iter(parts.values()))))
    ]


def unpack_arrays(layout: FeatureLayout, contents: Sequence[bytes]) -> Arrays:
    """Turn the bytes of V videos into their features, padded with zeros to the longest.

    Args:
        layout (FeatureLayout): Layout of the features.
        contents (Sequence[bytes]): Output of :func:`pack_features`, of one video at least.

    Returns:
        dict[str, np.ndarray]: Features, with V first in each part, and ``frame_mask`` (V, T) if the layout
        has it.

    Raises:
        ValueError: If there are no videos, or contents are damaged or of another layout.

    Examples:
        >>> videos = dict(frames=np.ones((2, 3, 4)), frame_mask=np.array([[1, 1, 1], [1, 0, 0]]))
        >>> layout = FeatureLayout.of(videos)
        >>> unpack_arrays(layout, pack_features(layout, videos))['frame_mask'].tolist()
        [[1, 1, 1], [1, 0, 0]]
    """
    if not len(contents):
        raise ValueError('there are no stored features to read: contents is empty')
    videos = [_read(layout, content) for content in contents]
    joined = {}
    for name, part in layout.parts.items():
        found = [video[name] for video in videos]
        if part.per_frame or name == MASK:
            longest = max(map(len, found))
            found = [np.pad(one, [(0, longest - len(one)), *[(0, 0)] * (one.ndim - 1)]) for one in found]
        joined[name] = np.stack(found).astype(DTYPES[part.dtype])
    return joined


def unpack_features(
    layout: FeatureLayout, contents: Sequence[bytes], device: 'torch.device | str' = 'cpu'
) -> 'Features':
    """Turn the bytes of V videos into tensors; see :func:`unpack_arrays`.

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
        >>> import torch
        >>> videos = dict(frames=torch.ones(2, 3, 4), frame_mask=torch.tensor([[1, 1, 1], [1, 0, 0]]))
        >>> layout = FeatureLayout.of(videos)
        >>> unpack_features(layout, pack_features(layout, videos))['frame_mask']
        tensor([[1, 1, 1],
                [1, 0, 0]])
    """
    import torch

    return {name: torch.from_numpy(part).to(device) for name, part in unpack_arrays(layout, contents).items()}


def _as_array(part: Any) -> np.ndarray:
    """Return a tensor as an array; numpy has no bfloat16, which becomes single precision."""
    if isinstance(part, np.ndarray):
        return part
    part = part.detach().cpu()
    return (part.float() if str(part.dtype) == 'torch.bfloat16' else part).numpy()


def _check_parts(layout: FeatureLayout, videos: Arrays) -> None:
    """Raise an error if features have other parts or shapes than the layout."""
    found = {name: tuple(part.shape[1:]) for name, part in videos.items()}
    frames = found.get(MASK, ())[:1]
    expected = {
        name: (*frames, *part.shape) if part.per_frame else part.shape for name, part in layout.parts.items()
    }
    if found != expected:
        raise ValueError(f'expected features of the shapes {expected} per video, got {found}')


def _count_frames(frame_mask: np.ndarray) -> list[int]:
    """Count the real frames of each video of a mask (V, T)."""
    mask = frame_mask.astype(bool)
    counts = mask.sum(axis=1)
    wrong = (mask != (np.arange(mask.shape[1]) < counts[:, None])).any(axis=1) | (counts == 0)
    if wrong.any():
        index = int(wrong.argmax())
        raise ValueError(
            f'frame_mask of video {index} must have one or more real frames, and padding only after them, '
            f'got {frame_mask[index].astype(int).tolist()}'
        )
    return counts.tolist()


def _to_bytes(values: np.ndarray, name: str) -> bytes:
    """Convert values to half precision.

    Raises:
        ValueError: If they are not finite there, or are other integers.
    """
    with np.errstate(over='ignore'):
        half = values.astype(HALF)
    if not np.isfinite(half).all():
        what = 'is NaN' if np.isnan(values).any() else f'has values up to {float(np.abs(values).max()):g}'
        raise ValueError(
            f'features cannot be stored: {name} of a video {what}; half precision holds finite values up to '
            f'{float(np.finfo(np.float16).max):g}'
        )
    if values.dtype.kind != 'f' and (half.astype(values.dtype) != values).any():
        raise ValueError(
            f'features cannot be stored: {name} of a video has integers beyond 2048 that half precision '
            'rounds'
        )
    return half.tobytes()


def _read(layout: FeatureLayout, content: bytes) -> Arrays:
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
    values, start = np.frombuffer(content, HALF).astype(np.float16), 0
    video: Arrays = {}
    for name, part in layout.stored.items():
        shape = (count, *part.shape) if part.per_frame else part.shape
        end = start + part.size * (count if part.per_frame else 1)
        video[name], start = values[start:end].reshape(shape), end
    if MASK in layout.parts:
        video[MASK] = np.ones(count, np.float16)
    return video
