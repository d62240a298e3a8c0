import numpy as np
from PIL import Image

from ..video_readers import VideoReadError
from .transform import Transform

MAX_ASPECT_RATIO = 100  # a header can claim any shape, and enlarging the frame takes memory


class ResizeCenterCrop(Transform):
    """Resize frames to a square, with exactly the pixels of the encoder's own preprocessing.

    Without arguments, or with CLIP's 224, the tools take them from the encoder, see
    :func:`mmclip4clip.apis.follow_encoder`. With ``keep_ratio``, as CLIP and CLIP4Clip do, the short side is
    resized and the center cropped. This is bit-identical to torchvision's ``Resize(size, BICUBIC)`` and
    ``CenterCrop(size)`` on PIL images: PIL's anti-aliased bicubic filter, a truncated long side (mmcv rounds
    it), and a crop offset of half the margin, rounded half to even (mmcv rounds it down). Otherwise, as
    SigLIP and Chinese-CLIP do, both sides are resized.

    Required Keys:

    - imgs (list[np.ndarray] or np.ndarray): T frames (H, W, 3) uint8, so this transform precedes
      ``FormatShape``

    Modified Keys:

    - imgs (list[np.ndarray]): (size, size, 3) each
    - img_shape (tuple[int, int])

    Args:
        size (int): Height and width, in pixels.
        interpolation (str): ``'bicubic'`` or ``'bilinear'``, PIL's anti-aliased filters.
        keep_ratio (bool): Whether to crop, or else to squeeze.

    Raises:
        ValueError: If ``size`` is not a positive integer, or ``interpolation`` is unknown.

    Examples:
        >>> import numpy as np
        >>> from mmclip4clip.datasets import ResizeCenterCrop
        >>> results = ResizeCenterCrop(size=32)(dict(imgs=[np.zeros((48, 64, 3), np.uint8)]))
        >>> results['imgs'][0].shape
        (32, 32, 3)
    """

    def __init__(self, size: int = 224, interpolation: str = 'bicubic', keep_ratio: bool = True) -> None:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f'size must be a positive integer, got {size!r}')
        if interpolation not in ('bicubic', 'bilinear'):
            raise ValueError(f"interpolation must be 'bicubic' or 'bilinear', got {interpolation!r}")
        self.size, self.interpolation, self.keep_ratio = size, interpolation, keep_ratio

    def transform(self, results: dict) -> dict:
        """Resize and crop all frames of a clip.

        Raises:
            VideoReadError: If one side of a frame is more than 100 times as long as the other.
            ValueError: If a frame is not (H, W, 3) uint8.
        """
        results['imgs'] = [self._resize(frame, results.get('filename')) for frame in results['imgs']]
        results['img_shape'] = self.size, self.size
        return results

    def _resize(self, frame: np.ndarray, filename: str | None) -> np.ndarray:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
            raise ValueError(
                f'{filename}: expected frames (H, W, 3) of uint8, got {frame.shape} of '
                f'{frame.dtype}; ResizeCenterCrop comes before FormatShape'
            )
        height, width = frame.shape[:2]
        check_sides(
            width, height, f'{filename} cannot be read; '
        )  # other decoders than DecodeVideo do not check this
        filter = Image.Resampling[self.interpolation.upper()]
        if not self.keep_ratio:
            return np.array(Image.fromarray(frame).resize((self.size, self.size), filter))
        width, height = resized_size(width, height, self.size)
        left, top = (round((side - self.size) / 2) for side in (width, height))  # rounds half to even
        picture = Image.fromarray(frame).resize((width, height), filter)
        return np.array(picture.crop((left, top, left + self.size, top + self.size)))

    def __repr__(self) -> str:
        more = '' if self.interpolation == 'bicubic' else f', interpolation={self.interpolation!r}'
        more += '' if self.keep_ratio else ', keep_ratio=False'
        return f'{type(self).__name__}(size={self.size}{more})'


def check_sides(width: int, height: int, start: str = '') -> None:
    """Reject frames that become very large when their short side is resized.

    Args:
        width (int): Width in pixels.
        height (int): Height in pixels.
        start (str): Start of the error message.

    Raises:
        VideoReadError: If one side is more than 100 times the other.
    """
    if not 0 < max(width, height) <= MAX_ASPECT_RATIO * min(width, height):
        raise VideoReadError(
            f'{start}its frames have {width} x {height} pixels, one side more than '
            f'{MAX_ASPECT_RATIO} times the other'
        )


def resized_size(width: int, height: int, size: int) -> tuple[int, int]:
    """Return width and height after the short side is resized to ``size``, by torchvision's rule."""
    short, long = min(width, height), max(width, height)
    long = int(size * long / short)
    return (size, long) if width <= height else (long, size)
