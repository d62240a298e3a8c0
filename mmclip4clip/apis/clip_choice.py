"""The variable ``clip`` of a config, which chooses CLIP and its tokenizer in one place."""

import logging
import re
from collections.abc import Iterator, Mapping

from mmengine.config import Config
from mmengine.logging import print_log

from .presets import find_preset

TOKENIZE, TOKENIZE_TARGETS, DECODE = 'TokenizeCaptions', 'TokenizeTargets', 'DecodeVideo'


def use_clip(cfg: Config) -> None:
    """Set ``model.backbone.pretrained`` and all tokenizers of CLIP to the config's ``clip``, if it has one.

    A random CLIP (``model.backbone.config``) is replaced. The tokenizer of a captioner follows too, unless
    its targets have their own tokenizer (``TokenizeTargets``). If the name is that of published weights (see
    :func:`list_presets`) and the test has other frames than they were published with, a warning names the
    config that has them.

    Args:
        cfg (Config): Config of a run; changed in place.

    Raises:
        ValueError: If ``clip`` is not a name or a folder, or the config has no backbone that loads a CLIP.

    Examples:
        >>> cfg = Config(dict(
        ...     clip='my_clip',
        ...     model=dict(type='CLIP4ClipRetriever', backbone=dict(type='CLIPBackbone', pretrained='other')),
        ...     test_dataloader=dict(dataset=dict(pipeline=[dict(type='TokenizeCaptions', max_words=32)])),
        ... ))
        >>> use_clip(cfg)
        >>> cfg.model.backbone.pretrained, cfg.test_dataloader.dataset.pipeline[0].tokenizer
        ('my_clip', 'my_clip')
    """
    name = cfg.get('clip')
    if name is None:
        return
    model = cfg.get('model') or {}
    backbone = model.get('backbone')
    if not isinstance(name, str) or not name:
        raise ValueError(f'clip must be a name on the Hugging Face hub or a local folder, got {name!r}')
    if not isinstance(backbone, dict) or class_name(backbone) != 'CLIPBackbone':
        raise ValueError(f'clip={name!r} needs a CLIPBackbone as model.backbone, got {backbone!r}')
    for key in ('config', 'embedding_std'):
        backbone.pop(key, None)
    backbone['pretrained'] = name
    loaders = [cfg.get(f'{split}_dataloader') for split in ('train', 'val', 'test')]
    steps = [step for step in typed_dicts(loaders) if class_name(step) in (TOKENIZE, TOKENIZE_TARGETS)]
    tokenizing = [step for step in steps if class_name(step) == TOKENIZE]
    for step in tokenizing:
        step['tokenizer'] = name
    follows = 'tokenizer' in model and len(tokenizing) == len(steps)
    if follows:
        model['tokenizer'] = name
    print_log(
        f'clip={name!r} sets model.backbone.pretrained, {len(tokenizing)} tokenizers of pipelines'
        + ', model.tokenizer' * follows,
        logger='current',
    )
    _warn_of_other_frames(cfg, name)


def _warn_of_other_frames(cfg: Config, name: str) -> None:
    """Log a warning if the test has other frames or pixels than weights of that name were published with."""
    preset = find_preset(name)
    if preset is None:
        return
    steps = list(typed_dicts(cfg.get('test_dataloader')))
    frames = [step['sampling'] for step in steps if class_name(step) == DECODE and 'sampling' in step]
    pixels = [step for step in steps if re.search('Resize|Crop', class_name(step))]
    if frames != [preset.frames] or pixels != preset.pixels:
        print_log(
            f'{name} was published with other frames than those of the test: {preset.frames} and '
            f'{preset.pixels}, here {frames} and {pixels}. {preset.config} has the published ones',
            logger='current',
            level=logging.WARNING,
        )


def class_name(cfg: Mapping) -> str:
    """Return the name of the class that a config builds, without scope and module."""
    kind = cfg.get('type')
    return kind.rsplit('.')[-1] if isinstance(kind, str) else getattr(kind, '__name__', '')


def typed_dicts(value: object) -> Iterator[dict]:
    """Yield all dicts with a ``type`` in nested lists and dicts."""
    if isinstance(value, dict):
        if 'type' in value:
            yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from typed_dicts(item)
