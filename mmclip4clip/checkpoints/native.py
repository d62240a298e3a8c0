"""Checkpoints of this package (``.pth``), saved by mmengine in training or written by the converters."""

import re
from collections.abc import Mapping

from transformers import CLIPConfig

from ..models.lora_weights import merge_lora
from ..safe_config import plain_assignments
from ..version import __version__
from .assumptions import list_assumptions
from .checkpoint import NOT_IN_SHAPES, OPENAI_ARCHITECTURE, Checkpoint
from .clip_settings import clip_settings
from .formats import current_name
from .openai import clip_rules, openai_settings
from .reference import HEADS, has_head
from .renaming import check_keys, expand

DECODER = 'decoder.'  # prefix of the decoder of CLIP4ClipCaptioner


def to_native(content: dict, name: str) -> Checkpoint:
    """Read a checkpoint of :class:`CLIP4ClipRetriever` or :class:`CLIP4ClipCaptioner`.

    LoRA is merged into the weights, and the decoder of a captioner is dropped, because no other project
    supports it; notes say so. Settings such as attention heads are not in the weights. They come from the
    converters' metadata, or from the config that mmengine saves in training.

    Args:
        content (dict): Content of the file: ``state_dict``, ``meta``, ``unused``.
        name (str): Name of the file in error messages.

    Raises:
        ValueError: If keys are missing or unknown, or the config contradicts the weights.
    """
    meta, state_dict = content.get('meta') or {}, merge_lora(content['state_dict'], name)
    decoder = [state_dict.pop(key) for key in list(state_dict) if key.startswith(DECODER)]
    checkpoint = Checkpoint(
        state_dict,
        current_name(meta.get('origin', 'mmclip4clip'), warn=False),
        meta.get('dtypes', {}),
        content.get('unused', {}),
        known_settings(meta.get('settings', {}), name),
    )
    if len(state_dict) + len(decoder) < len(content['state_dict']):
        checkpoint.notes.append('merged LoRA into the weights')
    if decoder:
        checkpoint.notes.append(f'left out the caption decoder, {len(decoder)} tensors')
    model = trained_model(meta)
    if not checkpoint.settings.get('adapter'):
        checkpoint.settings['adapter'] = model.get('adapter', {})
    known = has_head(checkpoint)
    rules = [*clip_rules(), *(HEADS[checkpoint.adapter] if known else [])]
    expected = [key for rule in expand(rules, state_dict, 'native') for key in rule.native]
    if not known:
        expected += [key for key in state_dict if key.startswith('adapter.')]
    check_keys(expected, state_dict, name)
    backbone = model.get('backbone', dict(pretrained='unknown'))
    config = (meta.get('mmclip4clip') or {}).get('clip_config')
    if config is None and backbone.get('pretrained') is None:
        config = backbone.get('config') or {}
    if config is not None:
        checkpoint.update_from_config(CLIPConfig(**config), name)
    elif re.fullmatch(r'openai/clip-vit-[\w-]+', str(backbone['pretrained'])):
        checkpoint.settings.update(openai_settings(checkpoint))
    return checkpoint


def known_settings(settings: Mapping, name: str) -> dict:
    """Keep only the settings of a file that :class:`Checkpoint` uses.

    Raises:
        ValueError: If they are not settings.
    """
    parts = (
        {part: settings.get(part, {}) for part in (*NOT_IN_SHAPES, 'adapter')}
        if isinstance(settings, dict)
        else {'settings': settings}
    )
    invalid = [f'{part}={value!r}' for part, value in parts.items() if not isinstance(value, dict)]
    if invalid:
        raise ValueError(f'{name} has invalid meta.settings: {", ".join(invalid)[:200]}')
    kept = {
        tower: {key: parts[tower][key] for key in keys if key in parts[tower]}
        for tower, keys in NOT_IN_SHAPES.items()
    }
    return {**{tower: values for tower, values in kept.items() if values}, 'adapter': parts['adapter']}


def from_native(checkpoint: Checkpoint) -> dict:
    """Return the content to save, for mmengine's ``load_from`` and for converting back.

    It includes the settings of CLIP, unless some were assumed. They are compared when the file is loaded.
    """
    meta = dict(
        mmclip4clip_version=__version__,
        origin=checkpoint.origin,
        dtypes=checkpoint.dtypes,
        settings=checkpoint.settings,
    )
    if checkpoint.origin in OPENAI_ARCHITECTURE or all(
        'adapter' in item.what for item in list_assumptions(checkpoint)
    ):
        meta['mmclip4clip'] = dict(clip_config=clip_settings(CLIPConfig(**checkpoint.clip_config())))
    return dict(meta=meta, state_dict=checkpoint.state_dict, unused=checkpoint.unused)


def trained_model(meta: Mapping) -> dict:
    """Return ``model`` of the config text that mmengine saved, without running it.

    Returns:
        dict: The config; empty if it is missing or contains more than plain values.
    """
    model = plain_assignments(meta.get('cfg') or '')[0].get('model', {})
    return model if isinstance(model, dict) else {}
