"""Checkpoints of this package (``.pth``), saved by mmengine in training or written by the converters."""

import re
from collections.abc import Mapping

from transformers import CLIPConfig

from ..safe_config import plain_assignments
from ..version import __version__
from .assumptions import list_assumptions
from .checkpoint import NOT_IN_SHAPES, OPENAI_BUILT, Checkpoint
from .clip_settings import clip_settings
from .formats import current_name
from .openai import clip_rules, openai_settings
from .reference import HEADS
from .renaming import check_keys, expand

DECODER = 'decoder.'  # of CLIP4ClipCaptioner


def to_native(content: dict, name: str) -> Checkpoint:
    """Take a checkpoint of :class:`CLIP4ClipRetriever` as it is.

    Of one of :class:`CLIP4ClipCaptioner`, the decoder is left out, as no other project has a place for it,
    and a note says so. Attention heads and the like are in no tensor. They come from what the
    converters wrote, or from the config that mmengine saves with a training.

    Args:
        content (dict): What the file holds: ``state_dict``, ``meta``, ``unused``.
        name (str): What errors call the file.

    Raises:
        ValueError: If keys are missing or unknown, or the config does not fit.
    """
    meta, state_dict = content.get('meta') or {}, dict(content['state_dict'])
    decoder = [state_dict.pop(key) for key in list(state_dict) if key.startswith(DECODER)]
    checkpoint = Checkpoint(
        state_dict,
        current_name(meta.get('origin', 'mmclip4clip'), warn=False),
        meta.get('dtypes', {}),
        content.get('unused', {}),
        known_settings(meta.get('settings', {}), name),
    )
    if decoder:
        checkpoint.notes.append(f'left out the caption decoder, {len(decoder)} tensors')
    model = trained_model(meta)
    if not checkpoint.settings.get('adapter'):
        checkpoint.settings['adapter'] = model.get('adapter', {})
    rules = [*clip_rules(), *HEADS.get(checkpoint.adapter, [])]
    expected = [key for rule in expand(rules, state_dict, 'native') for key in rule.native]
    if checkpoint.adapter not in HEADS:
        expected += [key for key in state_dict if key.startswith('adapter.')]
    check_keys(expected, state_dict, name)
    backbone = model.get('backbone', dict(pretrained='unknown'))
    config = (meta.get('mmclip4clip') or {}).get('clip_config')
    if config is None and backbone.get('pretrained') is None:
        config = backbone.get('config') or {}
    if config is not None:
        checkpoint.learn(CLIPConfig(**config), name)
    elif re.fullmatch(r'openai/clip-vit-[\w-]+', str(backbone['pretrained'])):
        checkpoint.settings.update(openai_settings(checkpoint))
    return checkpoint


def known_settings(settings: Mapping, name: str) -> dict:
    """Take from the settings in a file only what :class:`Checkpoint` has a use for.

    Raises:
        ValueError: If they are no settings.
    """
    parts = (
        {part: settings.get(part, {}) for part in (*NOT_IN_SHAPES, 'adapter')}
        if isinstance(settings, dict)
        else {'settings': settings}
    )
    odd = [f'{part}={value!r}' for part, value in parts.items() if not isinstance(value, dict)]
    if odd:
        raise ValueError(f'{name} has odd meta.settings: {", ".join(odd)[:200]}')
    kept = {
        tower: {key: parts[tower][key] for key in keys if key in parts[tower]}
        for tower, keys in NOT_IN_SHAPES.items()
    }
    return {**{tower: values for tower, values in kept.items() if values}, 'adapter': parts['adapter']}


def from_native(checkpoint: Checkpoint) -> dict:
    """Return what to save, for mmengine's ``load_from`` and for the way back.

    What builds its CLIP goes with it, unless a part of that was assumed, and is compared where it is loaded.
    """
    meta = dict(
        mmclip4clip_version=__version__,
        origin=checkpoint.origin,
        dtypes=checkpoint.dtypes,
        settings=checkpoint.settings,
    )
    if checkpoint.origin in OPENAI_BUILT or all(
        'adapter' in item.what for item in list_assumptions(checkpoint)
    ):
        meta['mmclip4clip'] = dict(clip_config=clip_settings(CLIPConfig(**checkpoint.clip_config())))
    return dict(meta=meta, state_dict=checkpoint.state_dict, unused=checkpoint.unused)


def trained_model(meta: Mapping) -> dict:
    """Return ``model`` of the config that mmengine saved as Python text, without running the text.

    Returns:
        dict: The config, empty where there is none or it holds more than plain values.
    """
    model = plain_assignments(meta.get('cfg') or '')[0].get('model', {})
    return model if isinstance(model, dict) else {}
