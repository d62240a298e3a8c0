import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class RandomShift(BaseTransform):
    """Move a clip by a few pixels in training: what leaves the picture is lost, reflections come in.

    All frames move alike, so that motion and size stay what they are. Elsewhere on CLIP's grid of
    patches, the same thing gives a small model other patches to learn from.

    Required Keys:

    - imgs (list[np.ndarray] or np.ndarray, (T, H, W, 3)), that is before ``FormatShape``

    Modified Keys:

    - imgs

    Args:
        pixels (int): The most pixels that a clip moves by, to each side. Drawn evenly, for x and y apart,
            from numpy's random numbers, which every worker has of its own.

    Raises:
        ValueError: If ``pixels`` is not a natural number.
    """

    def __init__(self, pixels: int) -> None:
        if not isinstance(pixels, int) or isinstance(pixels, bool) or pixels < 0:
            raise ValueError(f'pixels must be an integer from 0 up, got {pixels!r}')
        self.pixels = pixels

    def transform(self, results: dict) -> dict:
        """Move one clip.

        Raises:
            ValueError: If the frames are not (T, H, W, 3), or not larger than ``pixels``.
        """
        shapes = sorted({np.shape(img) for img in results['imgs']})
        if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][-1] != 3 or min(shapes[0][:2]) <= self.pixels:
            raise ValueError(
                f'{results.get("filename")}: expected imgs of (T, H, W, 3), all of one size, '
                f'with more than pixels={self.pixels} a side, got frames of {shapes}; '
                'RandomShift comes before FormatShape'
            )
        height, width = shapes[0][:2]
        around = ((self.pixels, self.pixels), (self.pixels, self.pixels), (0, 0))
        y, x = np.random.randint(2 * self.pixels + 1, size=2)
        moved = [
            np.pad(img, around, mode='reflect')[y : y + height, x : x + width] for img in results['imgs']
        ]
        return dict(results, imgs=moved)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(pixels={self.pixels})'
