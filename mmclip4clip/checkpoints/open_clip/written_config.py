"""The model config that open_clip needs beside weights of this package."""

from typing import Any

from ...models.backbones.frame_format import FrameFormat, default_format
from ...tokenizers.saved_tokenizer import CAPTIONS
from ..checkpoint import Checkpoint
from ..processor_files import in_unit_range
from .timm_towers import TOWERS, find_tower

CLIP_VOCABULARY = 49408  # of the tokenizer that open_clip has itself
SUPPORTED = dict(clip='CLIP', metaclip_2='MetaCLIP 2', siglip='SigLIP')
HIGHEST = 2  # as eos_token_id of a CLIP of transformers: the highest token


def open_clip_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the content of ``open_clip_config.json``.

    Args:
        checkpoint (Checkpoint): The checkpoint; gets notes about what open_clip computes differently.

    Raises:
        ValueError: If open_clip has no such model.
    """
    family, config = checkpoint.family, checkpoint.clip_config()
    if family.model_type not in SUPPORTED:
        raise ValueError(
            f'open_clip cannot represent {family.name} (model_type={family.model_type!r}), only '
            f'{", ".join(SUPPORTED.values())}: --to transformers writes a folder of this family'
        )
    if checkpoint.adapter != 'MeanAdapter' or checkpoint.linear_patch != '2d':
        raise ValueError(
            f'open_clip cannot represent {checkpoint.adapter} with a {checkpoint.linear_patch} patch: '
            '--clip-only leaves out the rest'
        )
    describe = _siglip if family.model_type == 'siglip' else _clip
    model, layout = describe(checkpoint, config), checkpoint.settings.get('open_clip', {})
    for key in ('custom_text', 'nonscalar_logit_scale'):
        if layout.get(key):
            model[key] = True
    model['text_cfg'] |= _tokenizer(checkpoint, config['text_config']['vocab_size'])
    size = config['vision_config']['image_size']
    frames = FrameFormat(**checkpoint.frame_format or default_format(family, size)._asdict())
    preprocess = dict(
        mean=in_unit_range(frames.mean),
        std=in_unit_range(frames.std),
        interpolation=frames.interpolation,
        resize_mode='shortest' if frames.keep_ratio else 'squash',
    )
    return dict(model_cfg=model, preprocess_cfg=preprocess)


def _clip(checkpoint: Checkpoint, config: dict[str, Any]) -> dict[str, Any]:
    text, vision = config['text_config'], config['vision_config']
    activations = {text['hidden_act'], vision['hidden_act']}
    quick_gelu = activations == {'quick_gelu'}
    if not quick_gelu and not activations <= {'gelu', 'gelu_pytorch_tanh'}:
        raise ValueError(
            f'open_clip cannot represent the activations {" and ".join(sorted(activations))} of this CLIP, '
            'only quick_gelu in both towers, or gelu'
        )
    highest = text['eos_token_id'] in (HIGHEST, text['vocab_size'] - 1)
    if checkpoint.family.model_type == 'clip' and highest:
        pooling: dict[str, Any] = {}
    else:
        pooling = dict(pool_type='eos', eos_id=text['eos_token_id'])
    return dict(
        embed_dim=config['projection_dim'],
        quick_gelu=quick_gelu,
        vision_cfg=dict(
            image_size=vision['image_size'],
            patch_size=vision['patch_size'],
            head_width=vision['hidden_size'] // vision['num_attention_heads'],
            **_tower(vision, 1e-5),
        ),
        text_cfg=dict(_text(text), **pooling),
    )


def _siglip(checkpoint: Checkpoint, config: dict[str, Any]) -> dict[str, Any]:
    text, vision = config['text_config'], config['vision_config']
    if text['hidden_act'] not in ('gelu', 'gelu_pytorch_tanh'):
        raise ValueError(f'open_clip cannot represent the activation {text["hidden_act"]} of this Siglip')
    name = find_tower(vision)
    if TOWERS[name]['hidden_act'] != vision['hidden_act']:
        checkpoint.notes.append(
            f'open_clip builds the vision tower as {name} of timm, with the activation '
            f'{TOWERS[name]["hidden_act"]} instead of {vision["hidden_act"]}, so features of frames differ a '
            'little'
        )
    return dict(
        embed_dim=text['projection_size'],
        init_logit_bias=-10,
        custom_text=True,
        vision_cfg=dict(
            image_size=vision['image_size'],
            timm_model_name=name,
            timm_model_pretrained=False,
            timm_pool='map',
            timm_proj='none',
        ),
        text_cfg=dict(_text(text), no_causal_mask=True, proj_bias=True, pool_type='last'),
    )


def _text(text: dict[str, Any]) -> dict[str, Any]:
    return dict(
        context_length=text['max_position_embeddings'],
        vocab_size=text['vocab_size'],
        heads=text['num_attention_heads'],
        **_tower(text, 1e-5),
    )


def _tower(tower: dict[str, Any], default_eps: float) -> dict[str, Any]:
    """Return the fields that both towers have; those that are open_clip's defaults only if they are sizes."""
    width, inner = tower['hidden_size'], tower['intermediate_size']
    ratio = inner / width
    found = dict(
        width=width,
        layers=tower['num_hidden_layers'],
        mlp_ratio=ratio if int(width * ratio) == inner else (inner + 0.5) / width,  # open_clip rounds down
    )
    if tower['layer_norm_eps'] != default_eps:
        found['norm_kwargs'] = dict(eps=tower['layer_norm_eps'])
    if tower['hidden_act'] == 'gelu_pytorch_tanh':
        found['act_kwargs'] = dict(approximate='tanh')
    return found


def _tokenizer(checkpoint: Checkpoint, vocabulary: int) -> dict[str, Any]:
    """Return the fields of ``text_cfg`` that name the tokenizer, unless it is CLIP's."""
    layout = checkpoint.settings.get('open_clip', {})
    known = {key: layout[key] for key in ('hf_tokenizer_name', 'tokenizer_kwargs') if layout.get(key)}
    if known or (vocabulary == CLIP_VOCABULARY and checkpoint.family.model_type == 'clip'):
        return known
    if CAPTIONS in checkpoint.tokenizers:
        return dict(hf_tokenizer_name=str(checkpoint.tokenizers[CAPTIONS]['name']))
    checkpoint.notes.append(
        'the tokenizer is unknown: name it in open_clip_config.json, as text_cfg.hf_tokenizer_name'
    )
    return {}
