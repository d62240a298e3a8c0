"""Frames of pipelines that follow from the encoder of the model."""

import logging
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from ..models.backbones.families import image_size
from ..models.backbones.frame_format import FrameFormat, default_format, with_fields
from ..models.backbones.pretrained import find_folder, read_frame_format
from ..models.backbones.pretrained_folder import settings_config
from .clip_choice import class_name, typed_dicts

CLIP_SIZE = 224  # frames of the configs; most encoders read them
CLIP_STEP = dict(size=CLIP_SIZE, interpolation='bicubic', keep_ratio=True)
SHORT_SIDE = 256 / 224  # of a frame before the crop, in the configs of mmaction2


def follow_encoder(cfg: Config) -> None:
    """Set the size of frames, and how they are resized, in all pipelines that have CLIP's or none.

    ``ResizeCenterCrop`` without ``size``, or with 224, gets the size, interpolation and shape of the encoder.
    ``Resize`` of the short side to 256 and ``CenterCrop`` to 224, mmaction2's steps for CLIP, are scaled to
    the encoder's size. Mean and standard deviation follow in the model.

    Args:
        cfg (Config): Config of a run; changed in place.

    Examples:
        >>> tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        >>> encoder = dict(model_type='siglip', text_config=tower, vision_config=dict(tower, image_size=32))
        >>> cfg = Config(dict(
        ...     model=dict(backbone=dict(type='CLIPBackbone', config=encoder)),
        ...     test_dataloader=dict(dataset=dict(pipeline=[dict(type='ResizeCenterCrop')])),
        ... ))
        >>> follow_encoder(cfg)
        >>> cfg.test_dataloader.dataset.pipeline[0]
        {'type': 'ResizeCenterCrop', 'size': 32, 'interpolation': 'bicubic', 'keep_ratio': False}
    """
    format = encoder_format((cfg.get('model') or {}).get('backbone'))
    if format is None:
        return
    found = dict(size=format.size, interpolation=format.interpolation, keep_ratio=format.keep_ratio)
    changed = 0
    for loader in _loaders(cfg):
        for step in typed_dicts(loader):
            if class_name(step) == 'ResizeCenterCrop' and step.get('size') in (None, CLIP_SIZE):
                new = {key: value for key, value in found.items() if key == 'size' or step.get(key) is None}
                if any(step.get(key, CLIP_STEP[key]) != value for key, value in new.items()):
                    step.update(new)
                    changed += 1
            for steps in (value for value in step.values() if isinstance(value, list)):
                changed += _scale_crops(steps, format.size) if format.size != CLIP_SIZE else 0
    if not format.keep_ratio and any(class_name(step) == 'CenterCrop' for step in typed_dicts(_loaders(cfg))):
        print_log(
            'pipelines crop the center of frames, but the encoder of model.backbone was trained with '
            "squeezed frames: replace Resize and CenterCrop by dict(type='ResizeCenterCrop')",
            logger='current',
            level=logging.WARNING,
        )
    if changed:
        print_log(
            f'{changed} pipelines were changed to frames of model.backbone: {format.size} x {format.size} '
            f'pixels, {format.interpolation}, ' + ('cropped' if format.keep_ratio else 'squeezed'),
            logger='current',
        )


def encoder_format(backbone: Any) -> FrameFormat | None:
    """Return the frames that the encoder of a backbone's config reads, without loading its weights.

    Args:
        backbone (dict | None): Config of a backbone.

    Returns:
        FrameFormat | None: None if it is of another kind, or its folder is not there; loading reports that.
    """
    if not isinstance(backbone, dict) or class_name(backbone) != 'CLIPBackbone':
        return None
    name = backbone.get('pretrained')
    try:
        if name is not None:
            format = read_frame_format(find_folder(name))
        else:
            family, config = settings_config(backbone.get('config') or {})
            format = default_format(family, image_size(config)[0])
    except (OSError, ValueError, TypeError):
        return None
    format = format._replace(size=backbone.get('image_size') or format.size)
    return with_fields(format, backbone.get('frame_format'))


def _loaders(cfg: Config) -> list:
    return [cfg.get(f'{split}_dataloader') for split in ('train', 'val', 'test')]


def _scale_crops(steps: list, size: int) -> int:
    """Scale mmaction2's crop of 224 pixels to another size; return the number of crops."""
    count = 0
    for resize, crop in zip(steps, steps[1:]):
        if (
            isinstance(crop, dict)
            and isinstance(resize, dict)
            and class_name(crop) == 'CenterCrop'
            and crop.get('crop_size') == CLIP_SIZE
            and class_name(resize) == 'Resize'
            and tuple(resize.get('scale') or ()) == (-1, 256)
        ):
            resize['scale'], crop['crop_size'] = (-1, round(SHORT_SIDE * size)), size
            count += 1
    return count
