"""The frames that an encoder was trained with: their size, how they are resized, and their normalization."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .families import Family

FILES = ('preprocessor_config.json', 'processor_config.json')  # the second since transformers 5
INTERPOLATIONS = {2: 'bilinear', 3: 'bicubic'}  # by PIL's number


class FrameFormat(NamedTuple):
    """Frames that an encoder reads.

    Attributes:
        size (int): Height and width, in pixels.
        mean (tuple[float, ...]): Mean of R, G and B, in 0 to 255.
        std (tuple[float, ...]): Standard deviation of R, G and B, in 0 to 255.
        interpolation (str): ``'bicubic'`` or ``'bilinear'``.
        keep_ratio (bool): Whether the short side is resized and the center cropped, or else both sides are
            resized.

    Examples:
        >>> from mmclip4clip.models.backbones.families import FAMILIES
        >>> default_format(FAMILIES['siglip'], size=384).mean
        (127.5, 127.5, 127.5)
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = 'bicubic'
    keep_ratio: bool = True


def default_format(family: Family, size: int) -> FrameFormat:
    """Return the format of a family's published models.

    Args:
        family (Family): The family.
        size (int): Height and width of the frames, in pixels.
    """
    mean, std = (tuple(255 * x for x in values) for values in family.normalization)
    return FrameFormat(size, mean, std, family.interpolation, family.keep_ratio)


def known_format(values: Any, name: str) -> dict[str, Any]:
    """Check a format from an untrusted file.

    Args:
        values (object): Fields of :class:`FrameFormat`.
        name (str): Name of the file in the error message.

    Raises:
        ValueError: If they are not such fields.
    """
    try:
        format = FrameFormat(**values)
        numbers = [*format.mean, *format.std]
        if (
            isinstance(format.size, int)
            and len(numbers) == 6
            and all(isinstance(x, (int, float)) for x in numbers)
            and format.interpolation in INTERPOLATIONS.values()
            and isinstance(format.keep_ratio, bool)
        ):
            return format._asdict()
        raise ValueError(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{name} has a frame_format that describes no frames: {error!r}') from error


def with_fields(format: FrameFormat, fields: Mapping[str, Any] | None) -> FrameFormat:
    """Replace fields of a format by those of a config.

    Args:
        format (FrameFormat): The encoder's format.
        fields (dict, optional): ``frame_format`` of a backbone.

    Raises:
        ValueError: If a field is unknown or invalid, or the size is another one.
    """
    values = known_format({**format._asdict(), **(fields or {})}, 'model.backbone.frame_format')
    if values['size'] != format.size:
        raise ValueError(
            f'model.backbone.frame_format has size={values["size"]}, but the encoder reads '
            f'{format.size} pixels'
        )
    return FrameFormat(**values)


def read_format(folder: Path, family: Family, size: int) -> FrameFormat:
    """Read the image processor of a folder; what it does not say is the family's default.

    Args:
        folder (Path): A folder of ``transformers``.
        family (Family): The family of its model.
        size (int): Height and width of the model's images, in pixels.

    Raises:
        ValueError: If the file is not a valid image processor, or makes images of another size or scale.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    format = default_format(family, size)
    if path is None:
        return format
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        content = content.get('image_processor', content)
        return _format(content, format)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f'{path} is not the image processor of this model: {error}') from error


def _format(content: Mapping[str, Any], default: FrameFormat) -> FrameFormat:
    """Turn the content of an image processor into a format.

    Raises:
        ValueError: If it contradicts the model, or cannot be followed.
    """
    for key in ('do_resize', 'do_rescale', 'do_normalize'):
        if content.get(key) is False:
            raise ValueError(f'{key}=false, expected true')
    if abs(content.get('rescale_factor', 1 / 255) - 1 / 255) > 1e-6:
        raise ValueError(f'rescale_factor={content["rescale_factor"]}, expected 1/255')
    resample = content.get('resample')
    if resample is not None and resample not in INTERPOLATIONS:
        raise ValueError(f'resample={resample!r}, expected one of {INTERPOLATIONS}')
    squeezed = isinstance(content.get('size'), dict) and 'height' in content['size']
    cropped = bool(content.get('do_center_crop', default.keep_ratio and not squeezed))
    sides = [_side(content.get('size')), *([_side(content.get('crop_size'))] if cropped else [])]
    for size in sides:
        if size not in (None, default.size):
            raise ValueError(f'images of {size} pixels, but config.json says {default.size}')
    if not cropped and not squeezed and default.keep_ratio:
        raise ValueError('the short side is resized and nothing is cropped, expected squares')
    mean, std = (
        tuple(255 * float(x) for x in content[key]) if content.get(key) else values
        for key, values in (('image_mean', default.mean), ('image_std', default.std))
    )
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise ValueError(
            f'image_mean={content.get("image_mean")}, image_std={content.get("image_std")}, expected three '
            'numbers each'
        )
    return FrameFormat(
        default.size,
        mean,
        std,
        default.interpolation if resample is None else INTERPOLATIONS[resample],
        cropped and not squeezed,
    )


def _side(size: Any) -> int | None:
    """Return the side of a square from the forms that transformers writes; None if it is not given."""
    if not isinstance(size, dict):
        return size
    sides = {value for key, value in size.items() if key in ('height', 'width', 'shortest_edge') and value}
    if len(sides) > 1:
        raise ValueError(f'images of {size}, expected squares')
    return sides.pop() if sides else None
