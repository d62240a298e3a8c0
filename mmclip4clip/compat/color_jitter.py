"""Repair the colors and the random numbers of mmaction2's ``ColorJitter``."""

import functools


@functools.cache
def repair_color_jitter() -> None:
    """Make mmaction2's ``ColorJitter`` run on numpy 2, with all random numbers drawn per clip.

    Symptoms: mmaction2 1.1.0 adds a Python integer to uint8 hues. On numpy >= 2, every negative shift raises
    an OverflowError, which is half of all clips. Positive shifts of more than 76 steps (``hue`` above
    0.3) wrap at 256 instead of 180 and give wrong colors on any numpy. The order of brightness, contrast,
    saturation and hue is drawn when the transform is built, so it depends on what was built before and
    changes when a run is resumed.

    Safe because hues are shifted as on numpy 1 where that was correct. Each clip still draws the same four
    numbers; only the order is now drawn for each clip too.
    ``tests/datasets/transforms/test_augmentations.py`` tests it.
    """
    import cv2
    import numpy as np
    from mmaction.datasets.transforms import ColorJitter

    transform = ColorJitter.transform

    def adjust_hue(img: np.ndarray, factor: float) -> np.ndarray:
        hsv = cv2.cvtColor(np.clip(img, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(factor * 255)) % 180  # OpenCV's hues are below 180
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(np.float32)

    def transform_in_random_order(self, results: dict) -> dict:
        self.fn_idx = np.random.permutation(4)
        return transform(self, results)

    ColorJitter.adjust_hue = staticmethod(adjust_hue)
    ColorJitter.transform = transform_in_random_order
