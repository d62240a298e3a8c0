"""Heads, activation and frames from a model config of open_clip, which are not in the weights."""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from transformers import CLIPConfig, SiglipConfig

from ...models.backbones.families import FAMILIES
from ...models.backbones.frame_format import INTERPOLATIONS, FrameFormat
from ..checkpoint import Checkpoint
from ..clip_settings import clip_settings
from ..shape_check import check_shapes
from .timm_towers import TOWERS

# Defaults of open_clip's model configs.
VISION = dict(layers=12, width=768, head_width=64, mlp_ratio=4.0, patch_size=16, image_size=224)
TEXT = dict(layers=12, width=512, heads=8, mlp_ratio=4.0, context_length=77, vocab_size=49408)
TOP = dict(embed_dim=None, quick_gelu=False, vision_cfg=None, text_cfg=None, nonscalar_logit_scale=False)
# Values for CLIP's behavior, and fields that do not affect the outputs of a trained model.
AS_IN_CLIP: dict[str, Collection] = dict(
    pool_type=('tok', 'argmax', 'eos'),
    pos_embed_type=('learnable',),
    proj_type=('linear',),
    block_type=('default',),
)
AS_IN_SIGLIP: dict[str, Collection] = dict(
    timm_model_name=TOWERS,
    timm_pool=('map',),
    timm_proj=('none',),
    no_causal_mask=(True,),
    proj_bias=(True,),
    pool_type=('last',),
    proj_type=('linear',),
    block_type=('default',),
)
IGNORED = re.compile(
    r'timm_(?!model_name).*|hf_(?!model_name).*|attn_pooler_.*|tokenizer_.*|patch_dropout|'
    r'output_tokens|output_dict|pad_id|eos_id|custom_text|init_logit_scale|cast_dtype'
)
KEPT = ('hf_tokenizer_name', 'tokenizer_kwargs')  # of text_cfg, to write them again
CLIP_FRAMES = dict(mean=FAMILIES['clip'].normalization[0], std=FAMILIES['clip'].normalization[1])
EOS_OF_METACLIP_2 = 2  # for transformers, 2 means "the highest token" in a CLIP
GEMMA = 256000  # tokens of the tokenizer of SigLIP 2, which pads with 0


def apply_config(checkpoint: Checkpoint, path: Path) -> None:
    """Set heads, activation and frames from a model config, after comparing its sizes with the weights.

    Args:
        checkpoint (Checkpoint): The checkpoint to update.
        path (Path): JSON of open_clip's ``model_configs``, or a hub repository's ``open_clip_config.json``.

    Raises:
        ValueError: If it is not such a config, contradicts the weights, or has unsupported settings.
    """
    siglip = any(key.endswith('vision_model.head.probe') for key in checkpoint.state_dict)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        model = {**TOP, **content.get('model_cfg', content)}
        _check_supported(model, siglip)
        config: Any = _siglip_config(model) if siglip else _clip_config(model)
        frames = _frame_format(content.get('preprocess_cfg'), config.vision_config.image_size)
        text = model['text_cfg']
        metaclip = text.get('pool_type') == 'eos' and text.get('eos_id', 2) == EOS_OF_METACLIP_2
    except Exception as error:  # odd content can fail in any way; the cause is reported
        kind = 'SigLIP' if siglip else 'CLIP'
        raise ValueError(f'{path} is not a model config of a {kind} of open_clip: {error}') from error
    _set_encoder(checkpoint, config, path)
    if metaclip:
        values = {key: value for key, value in clip_settings(config).items() if key != 'model_type'}
        checkpoint.encoder = clip_settings(FAMILIES['metaclip_2'].config_class(**values))
    checkpoint.origin, checkpoint.frame_format = 'open_clip', frames
    kept = {key: text[key] for key in KEPT if text.get(key)}
    checkpoint.settings['open_clip'] = {**checkpoint.settings.get('open_clip', {}), **kept}
    checkpoint.notes.append(f'attention heads and activation are those of {path}')
    checkpoint.notes += _notes(frames, text, siglip)


def _set_encoder(checkpoint: Checkpoint, config: CLIPConfig | SiglipConfig, path: Path) -> None:
    """Take the settings of an encoder.

    Raises:
        ValueError: If they contradict the weights.
    """
    if isinstance(config, SiglipConfig):
        checkpoint.encoder = clip_settings(config)
        try:
            check_shapes(checkpoint, 'the file')
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error
        return
    if checkpoint.sizes()['projection_dim'] != config.projection_dim:
        raise ValueError(
            f'{path}: the config says embed_dim={config.projection_dim}, the weights '
            f'{checkpoint.sizes()["projection_dim"]}'
        )
    checkpoint.update_from_config(config, str(path))


def _check_supported(model: Mapping, siglip: bool) -> None:
    """Raise an error for settings that give a model other than CLIP or SigLIP."""
    top = dict(TOP, init_logit_bias=None) if siglip else TOP
    parts: dict[str, tuple[Mapping, Mapping]] = {
        '': (top, model),
        'vision_cfg.': (VISION, model['vision_cfg']),
        'text_cfg.': (TEXT, model['text_cfg']),
    }
    unsupported = [
        f'{part}{key}={value!r}'
        for part, (known, given) in parts.items()
        for key, value in given.items()
        if not _is_supported(key, value, known, AS_IN_SIGLIP if siglip else AS_IN_CLIP)
    ]
    if siglip:
        unsupported += [
            f'{part}.{key}={model[part].get(key)!r}'
            for part, key in (
                ('vision_cfg', 'timm_model_name'),
                ('vision_cfg', 'timm_pool'),
                ('vision_cfg', 'timm_proj'),
                ('text_cfg', 'no_causal_mask'),
                ('text_cfg', 'proj_bias'),
                ('text_cfg', 'pool_type'),
            )
            if not model[part].get(key)
        ]
    if unsupported:
        raise ValueError(f'it has {", ".join(unsupported[:6])}, which this package does not support')


def _is_supported(key: str, value: Any, known: Mapping, values: Mapping[str, Collection]) -> bool:
    """Return whether a field is a size, is ignored, or has a value of the supported behavior."""
    if key in values:
        return not value or value in values[key]
    if key in known or IGNORED.fullmatch(key) or not value:
        return True
    if key == 'norm_kwargs':
        return set(value) == {'eps'}
    if key == 'act_kwargs':
        return set(value) == {'approximate'} and value['approximate'] in ('none', 'tanh')
    return False


def _blocks(tower: Mapping, heads: int, quick_gelu: bool) -> dict[str, Any]:
    """Return the settings of a tower's blocks, with the names of transformers."""
    tanh = (tower.get('act_kwargs') or {}).get('approximate') == 'tanh'
    if tanh and quick_gelu:
        raise ValueError('it has both quick_gelu and act_kwargs')
    return dict(
        hidden_size=tower['width'],
        num_hidden_layers=tower['layers'],
        intermediate_size=int(tower['width'] * tower['mlp_ratio']),
        num_attention_heads=heads,
        hidden_act='quick_gelu' if quick_gelu else 'gelu_pytorch_tanh' if tanh else 'gelu',
        layer_norm_eps=(tower.get('norm_kwargs') or {}).get('eps', 1e-5),
    )


def _clip_config(model: Mapping) -> CLIPConfig:
    """Return the equivalent config of transformers."""
    vision, text = {**VISION, **model['vision_cfg']}, {**TEXT, **model['text_cfg']}
    last = text['vocab_size'] - 1
    return CLIPConfig(
        text_config=dict(
            **_blocks(text, text['heads'], model['quick_gelu']),
            vocab_size=text['vocab_size'],
            bos_token_id=last - 1,
            eos_token_id=text.get('eos_id', 2) if text.get('pool_type') == 'eos' else last,
            pad_token_id=1,
            max_position_embeddings=text['context_length'],
        ),
        vision_config=dict(
            **_blocks(vision, vision['width'] // vision['head_width'], model['quick_gelu']),
            patch_size=vision['patch_size'],
            image_size=vision['image_size'],
        ),
        projection_dim=model['embed_dim'],
    )


def _siglip_config(model: Mapping) -> SiglipConfig:
    """Return the equivalent config of transformers."""
    vision, text = model['vision_cfg'], {**TEXT, **model['text_cfg']}
    tower = TOWERS[vision['timm_model_name']]
    if vision.get('image_size', 224) != tower['image_size']:
        raise ValueError(
            f'vision_cfg.image_size={vision.get("image_size", 224)} is not that of its timm tower'
        )
    return SiglipConfig(
        text_config=dict(
            **_blocks(text, text['heads'], model['quick_gelu']),
            vocab_size=text['vocab_size'],
            bos_token_id=None,
            eos_token_id=1,
            pad_token_id=0 if text['vocab_size'] == GEMMA else 1,
            max_position_embeddings=text['context_length'],
            projection_size=model['embed_dim'],
        ),
        vision_config=dict(tower),
    )


def _frame_format(preprocess: Mapping | None, image_size: int) -> dict[str, Any] | None:
    """Return the fields of :class:`FrameFormat` of a preprocessing config; None without one.

    Raises:
        ValueError: If frames are prepared in a way that this package does not have.
    """
    if not preprocess:
        return None
    found = {**CLIP_FRAMES, **{key: value for key, value in preprocess.items() if value is not None}}
    modes = dict(shortest=True, squash=False)
    interpolation, resize = found.get('interpolation', 'bicubic'), found.get('resize_mode', 'shortest')
    if interpolation not in INTERPOLATIONS.values() or resize not in modes:
        raise ValueError(
            f'frames with interpolation={interpolation!r}, resize_mode={resize!r} are not supported'
        )
    mean, std = (tuple(255 * float(x) for x in found[key]) for key in ('mean', 'std'))
    return FrameFormat(image_size, mean, std, interpolation, modes[resize])._asdict()


def _notes(frames: dict[str, Any] | None, text: Mapping, siglip: bool) -> list[str]:
    """Return notes about preprocessing that differs from CLIP's."""
    notes = []
    for key, expected in CLIP_FRAMES.items():
        if frames and not siglip and frames[key] != tuple(255 * x for x in expected):
            values = [round(x / 255, 12) for x in frames[key]]
            notes.append(
                f"its frames were normalized with {key}={values}, in 0 to 1, not CLIP's: it is in "
                'frame_format of the backbone'
            )
    if text.get('hf_tokenizer_name'):
        notes.append(f"its captions were tokenized by {text['hf_tokenizer_name']}, not by CLIP's tokenizer")
    return notes
