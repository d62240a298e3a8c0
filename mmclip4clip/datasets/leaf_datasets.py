from collections.abc import Iterator

from .transforms import DecodeVideo
from .video_caption_dataset import all_steps


def leaf_datasets(dataset) -> Iterator:
    """Yield the datasets that read videos themselves: those that others wrap or join, or the dataset."""
    wrapped = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', [])
    if not wrapped:
        yield dataset
    for inner in wrapped:
        yield from leaf_datasets(inner)


def find_decoder(leaf) -> DecodeVideo | None:
    """Return the ``DecodeVideo`` of a pipeline, also a wrapped one; None if it has another decoder."""
    transforms = getattr(getattr(leaf, 'pipeline', None), 'transforms', ())
    return next((step for step in all_steps(transforms) if isinstance(step, DecodeVideo)), None)
