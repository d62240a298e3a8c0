from collections.abc import Iterator

from .pipeline_steps import find_step
from .transforms import DecodeVideo


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
    return find_step(transforms, DecodeVideo)
