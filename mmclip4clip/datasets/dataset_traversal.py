from collections.abc import Iterator

from .transforms import DecodeVideo
from .video_caption_dataset import all_steps


def leaf_datasets(dataset) -> Iterator:
    """Yield the innermost datasets of a wrapped or concatenated dataset, or the dataset itself."""
    wrapped = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', [])
    if not wrapped:
        yield dataset
    for inner in wrapped:
        yield from leaf_datasets(inner)


def find_decoder(leaf) -> DecodeVideo | None:
    """Return the ``DecodeVideo`` of a pipeline, including wrapped transforms; None if there is none."""
    transforms = getattr(getattr(leaf, 'pipeline', None), 'transforms', ())
    return next((step for step in all_steps(transforms) if isinstance(step, DecodeVideo)), None)
