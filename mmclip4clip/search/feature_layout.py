"""Names and shapes of the features that an index stores for each video."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..safe_json import shorten

if TYPE_CHECKING:
    from ..models.features import Features

MASK = 'frame_mask'
HALF = np.dtype('<f2')  # the type of stored values: half precision, little-endian
DTYPES = {name: np.dtype(name) for name in ('float32', 'float64', 'bool', 'uint8', 'int32', 'int64')}


class StoredPart(NamedTuple):
    """Form of one part of the features of a video.

    Args:
        shape (tuple[int, ...]): Shape for one video, or for one frame.
        per_frame (bool): Whether there is one row of this shape for each frame.
        dtype (str): Type of the values when they are read again, a key of ``DTYPES``.

    Examples:
        >>> StoredPart((8, 64), True, 'float32').size
        512
    """

    shape: tuple[int, ...]
    per_frame: bool
    dtype: str

    @property
    def size(self) -> int:
        """Number of values, of one frame if ``per_frame``."""
        return prod(self.shape)


class FeatureLayout(NamedTuple):
    """Order and form of the parts of stored features. An index keeps it once, as plain data for JSON.

    So a video takes two bytes per value of its real frames, and nothing else. ``frame_mask`` is not stored
    if another part tells the number of frames.

    Args:
        parts (dict[str, StoredPart]): Form of each part by name, in the order of the bytes.

    Examples:
        >>> import torch
        >>> from mmclip4clip.models import TightAdapter
        >>> adapter = TightAdapter(start='random')
        >>> layout = FeatureLayout.of(adapter.encode(torch.rand(2, 12, 512), torch.ones(2, 12)))
        >>> layout.num_bytes(num_frames=12)
        12288
        >>> layout.as_json()['frames']
        {'shape': [512], 'per_frame': True, 'dtype': 'float32'}
        >>> FeatureLayout.from_json(layout.as_json()) == layout
        True
    """

    parts: dict[str, StoredPart]

    @classmethod
    def of(cls, *batches: 'Features') -> 'FeatureLayout':
        """Derive the layout from features.

        A part whose second axis is that of ``frame_mask``, T, has one row per frame. Batches of different T
        tell such a part from one that has this size by chance.

        Args:
            batches (dict[str, Tensor]): Features of videos, with V first in each part; arrays of numpy too.

        Raises:
            ValueError: If the batches have other parts, or their shapes differ in more than V and T.
        """
        names = [sorted(batch) for batch in batches]
        if any(other != names[0] for other in names):
            raise ValueError(f'the features of all videos must have the same parts, got {names}')
        return cls({name: _describe(name, batches) for name in batches[0]})

    @classmethod
    def of_model(cls, model: Any) -> 'FeatureLayout':
        """Derive the layout from the features of videos with one and with two frames.

        Args:
            model (CLIP4ClipRetriever): The model, in evaluation mode.
        """
        import torch

        like = next(model.parameters())
        counts = range(1, min(2, model.adapter.max_frames or 2) + 1)
        frames = [like.new_zeros(1, count, model.backbone.width) for count in counts]
        with torch.no_grad():
            return cls.of(*(model.pool(part, torch.ones_like(part[..., 0]).long()) for part in frames))

    @classmethod
    def from_json(cls, value: Any) -> 'FeatureLayout':
        """Read what :meth:`as_json` returned.

        Raises:
            ValueError: If it has another form.
        """
        parts = {}
        for name, part in value.items() if isinstance(value, dict) else ():
            match part:
                case {'shape': [*shape], 'per_frame': bool(per_frame), 'dtype': str(dtype)}:
                    if dtype in DTYPES and all(type(size) is int and size > 0 for size in shape):
                        parts[name] = StoredPart(tuple(shape), per_frame, dtype)
        if not parts or len(parts) < len(value):
            raise ValueError(
                'the layout of features must be dict(shape=[...], per_frame=..., dtype=...) by the name of '
                f'each part, got {shorten(value)}'
            )
        return cls(parts)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return the layout as plain data."""
        return {name: dict(part._asdict(), shape=list(part.shape)) for name, part in self.parts.items()}

    @property
    def stored(self) -> dict[str, StoredPart]:
        """The parts that are stored: all but ``frame_mask``, if another part tells the number of frames."""
        others = {name: part for name, part in self.parts.items() if name != MASK}
        return others if any(part.per_frame for part in others.values()) else self.parts

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of stored values of a video that do not depend on its frames, and number per frame."""
        return tuple(  # type: ignore[return-value]
            sum(part.size for part in self.stored.values() if part.per_frame == per_frame)
            for per_frame in (False, True)
        )

    def num_bytes(self, num_frames: int) -> int:
        """Return the size of a video with this number of real frames in bytes."""
        whole, per_frame = self.sizes
        return HALF.itemsize * (whole + num_frames * per_frame)


def _describe(name: str, batches: Sequence['Features']) -> StoredPart:
    """Return the form of a part that all batches have."""
    shapes = [tuple(batch[name].shape[1:]) for batch in batches]
    frames = [batch[MASK].shape[1] if MASK in batch else None for batch in batches]
    per_frame = all(shape and shape[0] == count for shape, count in zip(shapes, frames))
    forms = {shape[per_frame:] for shape in shapes}
    if len(forms) > 1:
        raise ValueError(
            f'{name} has the shapes {shapes} for videos of {frames} frames: only the second axis may differ, '
            'and it must be the number of frames'
        )
    dtype = str(batches[0][name].dtype).removeprefix('torch.')
    if dtype not in DTYPES:
        dtype = 'float32' if 'float' in dtype else 'int64'
    return StoredPart(forms.pop(), per_frame, dtype)
