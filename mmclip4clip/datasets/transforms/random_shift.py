import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class RandomShift(BaseTransform):
    """Shift a training clip by a few random pixels and fill the border by reflection.

    All frames shift alike, so motion and size do not change. The shift moves objects on CLIP's patch grid,
    which gives a small model more varied patches to learn from.

    Required Keys:

    - imgs (list[np.ndarray] or np.ndarray, (T, H, W, 3)), so this transform precedes ``FormatShape``

    Modified Keys:

    - imgs

    Args:
        pixels (int): Maximum shift in pixels, in each direction. The shifts in x and y are drawn
            independently and uniformly from numpy's global generator, which differs between workers.

    Raises:
        ValueError: If ``pixels`` is not an integer from 0 up.

    Examples:
        >>> import numpy as np
        >>> from mmclip4clip.datasets import RandomShift
        >>> results = RandomShift(pixels=4)(dict(imgs=[np.zeros((64, 64, 3), np.uint8)] * 2))
        >>> [img.shape for img in results['imgs']]
        [(64, 64, 3), (64, 64, 3)]
    """

    def __init__(self, pixels: int) -> None:
        if not isinstance(pixels, int) or isinstance(pixels, bool) or pixels < 0:
            raise ValueError(f'pixels must be an integer from 0 up, got {pixels!r}')
        self.pixels = pixels

    def transform(self, results: dict) -> dict:
        """Shift one clip.

        Raises:
            ValueError: If the frames are not (T, H, W, 3), or not larger than ``pixels``.
        """
        shapes = sorted({np.shape(img) for img in results['imgs']})
        if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][-1] != 3 or min(shapes[0][:2]) <= self.pixels:
            raise ValueError(
                f'{results.get("filename")}: expected imgs of (T, H, W, 3), all of one size, '
                f'with sides of more than pixels={self.pixels}, got frames of {shapes}; '
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
