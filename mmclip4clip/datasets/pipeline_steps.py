"""The steps of a pipeline, including wrapped ones."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

Step = TypeVar('Step')


def all_steps(transforms: Sequence) -> Iterator:
    """Yield all transforms of a pipeline, including wrapped ones, such as those in ``CacheFrames``."""
    for step in transforms:
        yield step
        wrapped = getattr(step, 'transforms', ())
        yield from all_steps(getattr(wrapped, 'transforms', wrapped))


def find_step(transforms: Sequence, kind: type[Step]) -> Step | None:
    """Return the first transform of a class, including wrapped transforms; None if there is none."""
    return next((step for step in all_steps(transforms) if isinstance(step, kind)), None)
