"""Checkpoints of this package (``.pth``), saved by mmengine in training or written by the converters."""

import re
from collections.abc import Mapping
from typing import Any

from transformers import CLIPConfig

from ..models.backbones.families import family_of
from ..models.backbones.frame_format import known_format
from ..models.backbones.pretrained_folder import settings_config
from ..models.lora_weights import merge_lora
from ..models.weight_check import rename_layers
from ..safe_config import plain_assignments
from ..version import __version__
from .assumptions import list_assumptions
from .checkpoint import NOT_IN_SHAPES, OPENAI_ARCHITECTURE, Checkpoint
from .clip_settings import clip_settings
from .encoder_keys import encoder_rules
from .formats import current_name
from .openai import clip_rules, openai_settings
from .processor_files import known_tokenizers
from .reference import HEADS, has_head
from .renaming import Rule, check_keys, expand

DECODER = 'decoder.'  # prefix of the decoder of CLIP4ClipCaptioner
LOSS = 'loss_module.'  # prefix of the parameters of a loss, such as the bias of SigmoidLoss
LOSS_BIAS, ENCODER_BIAS = f'{LOSS}logit_bias', 'backbone.clip.logit_bias'
# Settings of open_clip that are written again when a checkpoint goes back there.
LAYOUT = dict(custom_text=bool, nonscalar_logit_scale=bool, hf_tokenizer_name=str, tokenizer_kwargs=dict)
# In keys of encoders of other families than CLIP.
NOT_CLIP = ('clip.logit_bias', 'clip.text_model.roberta.', 'clip.text_model.embeddings.word_embeddings.')


def to_native(content: dict, name: str) -> Checkpoint:
    """Read a checkpoint of :class:`CLIP4ClipRetriever` or :class:`CLIP4ClipCaptioner`.

    LoRA is merged into the weights, and the decoder of a captioner is dropped, because no other project
    supports it; notes say so. The bias of a sigmoid loss becomes that of an encoder that has one, and is
    dropped else. Settings such as attention heads are not in the weights. They come from the
    converters' metadata, or from the config that mmengine saves in training.

    Args:
        content (dict): Content of the file: ``state_dict``, ``meta``, ``unused``.
        name (str): Name of the file in error messages.

    Raises:
        ValueError: If keys are missing or unknown, or the config contradicts the weights.
    """
    meta, state_dict = content.get('meta') or {}, merge_lora(content['state_dict'], name)
    loss = {key: state_dict.pop(key) for key in list(state_dict) if key.startswith(LOSS)}
    if {LOSS_BIAS} == loss.keys() and ENCODER_BIAS in state_dict and loss[LOSS_BIAS].numel() == 1:
        state_dict[ENCODER_BIAS] = loss[LOSS_BIAS].reshape(state_dict[ENCODER_BIAS].shape)
    decoder = [state_dict.pop(key) for key in list(state_dict) if key.startswith(DECODER)]
    checkpoint = Checkpoint(
        state_dict,
        current_name(meta.get('origin', 'mmclip4clip'), warn=False),
        meta.get('dtypes', {}),
        content.get('unused', {}),
        known_settings(meta.get('settings', {}), name),
        **_preprocessing(meta.get('mmclip4clip') or {}, name),
    )
    if len(state_dict) + len(decoder) + len(loss) < len(content['state_dict']):
        checkpoint.notes.append('merged LoRA into the weights')
    if decoder:
        checkpoint.notes.append(f'left out the caption decoder, {len(decoder)} tensors')
    if loss and ENCODER_BIAS not in state_dict:
        checkpoint.notes.append(f'left out parameters of the loss: {", ".join(sorted(loss))}')
    model = trained_model(meta)
    if not checkpoint.settings.get('adapter'):
        checkpoint.settings['adapter'] = model.get('adapter', {})
    config = clip_of_meta(meta, model)
    family = family_of((config or {}).get('model_type', 'clip'), name)
    if config is not None and family.model_type != 'clip':
        checkpoint.encoder = clip_settings(settings_config(config)[1])
    elif config is None and any(mark in key for key in state_dict for mark in NOT_CLIP):
        raise ValueError(
            f'{name} has an encoder that is not CLIP, but not its settings: expected them in '
            "meta['mmclip4clip']['clip_config'], where this version saves them in training"
        )
    known = has_head(checkpoint)
    rules = [*_encoder_rules(checkpoint), *(HEADS[checkpoint.adapter] if known else [])]
    expected = [key for rule in expand(rules, checkpoint.state_dict, 'native') for key in rule.native]
    if not known:
        expected += [key for key in state_dict if key.startswith('adapter.')]
    check_keys(expected, checkpoint.state_dict, name)
    if checkpoint.encoder:
        return checkpoint
    if config is not None:
        checkpoint.update_from_config(settings_config(config)[1], name)
    elif re.fullmatch(r'openai/clip-vit-[\w-]+', str(model.get('backbone', {}).get('pretrained'))):
        checkpoint.settings.update(openai_settings(checkpoint))
    return checkpoint


def clip_of_meta(meta: Mapping, model: Mapping) -> dict[str, Any] | None:
    """Return the config of the encoder of a checkpoint; None if it is unknown.

    Args:
        meta (dict): Its metadata.
        model (dict): Config of the model, from its metadata.
    """
    config = (meta.get('mmclip4clip') or {}).get('clip_config')
    backbone = model.get('backbone', dict(pretrained='unknown'))
    if config is None and backbone.get('pretrained') is None:
        config = backbone.get('config') or {}
    return config


def _encoder_rules(checkpoint: Checkpoint) -> list[Rule]:
    """Return the rules of the encoder, after giving its blocks the names of this version of transformers."""
    if not checkpoint.encoder:
        return clip_rules()
    rules = encoder_rules(checkpoint.encoder)
    checkpoint.state_dict = rename_layers({rule.native[0] for rule in rules}, checkpoint.state_dict)
    return rules


def known_settings(settings: Mapping, name: str) -> dict:
    """Keep only the settings of a file that :class:`Checkpoint` uses.

    Raises:
        ValueError: If they are not settings.
    """
    parts = (
        {part: settings.get(part, {}) for part in (*NOT_IN_SHAPES, 'open_clip', 'adapter')}
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
    layout = {
        key: value for key, value in parts['open_clip'].items() if isinstance(value, LAYOUT.get(key, ()))
    }
    found = {**kept, 'open_clip': layout}
    return {**{part: values for part, values in found.items() if values}, 'adapter': parts['adapter']}


def from_native(checkpoint: Checkpoint) -> dict:
    """Return the content to save, for mmengine's ``load_from`` and for converting back.

    It includes the settings of the encoder, unless some were assumed. They are compared when the file is
    loaded.
    """
    meta = dict(
        mmclip4clip_version=__version__,
        origin=checkpoint.origin,
        dtypes=checkpoint.dtypes,
        settings=checkpoint.settings,
    )
    entry: dict[str, Any] = {}
    if checkpoint.encoder:
        entry['clip_config'] = checkpoint.encoder
    elif checkpoint.origin in OPENAI_ARCHITECTURE or all(
        'adapter' in item.what for item in list_assumptions(checkpoint)
    ):
        entry['clip_config'] = clip_settings(CLIPConfig(**checkpoint.clip_config()))
    if checkpoint.frame_format:
        entry['frame_format'] = checkpoint.frame_format
    if checkpoint.tokenizers:
        entry['tokenizers'] = checkpoint.tokenizers
    if entry:
        meta['mmclip4clip'] = entry
    return dict(meta=meta, state_dict=checkpoint.state_dict, unused=checkpoint.unused)


def _preprocessing(entry: Mapping, name: str) -> dict[str, Any]:
    """Return the frames and the tokenizer of a checkpoint, as arguments of :class:`Checkpoint`."""
    format = entry.get('frame_format')
    return dict(
        frame_format=known_format(format, name) if format else None,
        tokenizers=known_tokenizers(entry.get('tokenizers')),
    )


def trained_model(meta: Mapping) -> dict:
    """Return ``model`` of the config text that mmengine saved, without running it.

    Returns:
        dict: The config; empty if it is missing or contains more than plain values.
    """
    model = plain_assignments(meta.get('cfg') or '')[0].get('model', {})
    return model if isinstance(model, dict) else {}
