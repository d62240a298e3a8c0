"""Transforms that need neither torch nor OpenMMLab's packages."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable
from typing import Any


class Transform(metaclass=ABCMeta):
    """A step of a pipeline, like mmcv's ``BaseTransform``.

    ``transforms/registration.py`` registers the subclasses of this package in mmaction2, where they also
    count as mmcv's.
    """

    def __call__(self, results: dict) -> dict:
        """Apply the transform; see :meth:`transform`."""
        return self.transform(results)

    @abstractmethod
    def transform(self, results: dict) -> dict:
        """Change the keys of one video."""


class TransformList:
    """Transforms that are applied one after another, like mmengine's ``Compose``.

    Args:
        transforms (Iterable): Callables, and configs, which mmaction2's registry builds.

    Raises:
        TypeError: If one is neither.

    Examples:
        >>> TransformList([lambda results: dict(results, b=2)])(dict(a=1))
        {'a': 1, 'b': 2}
    """

    def __init__(self, transforms: Iterable[Any]) -> None:
        self.transforms = [self._build(transform) for transform in transforms]

    def __call__(self, results: Any) -> Any:
        """Apply all transforms; None if one of them returns None."""
        for transform in self.transforms:
            results = transform(results)
            if results is None:
                return None
        return results

    @staticmethod
    def _build(transform: Any) -> Any:
        if isinstance(transform, dict):
            from mmaction.registry import TRANSFORMS

            transform = TRANSFORMS.build(transform)
        if not callable(transform):
            raise TypeError(f'a transform must be callable or a dict, got {type(transform).__name__}')
        return transform

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.transforms})'
