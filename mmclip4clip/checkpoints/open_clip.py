"""Files of open_clip (github.com/mlfoundations/open_clip), which have the keys of OpenAI's CLIP.

Their activation and number of attention heads are in a model config, not in the weights.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import CLIPConfig

from .checkpoint import Checkpoint

# By a key that only they have; the first match counts.
UNSUPPORTED = (
    (r'logit_bias$', 'a SigLIP'),
    (r'visual\.trunk\.', 'a CLIP with an image tower of timm'),
    (r'text_decoder\.', 'a CoCa'),
    (r'visual\.(blocks\.|cls_token$)', 'an EVA-CLIP'),
    (r'text\.', 'a CustomTextCLIP, whose text tower is a module of its own'),
    (r'visual\.attn_pool', 'a CLIP with attentional pooling'),
    (r'(visual\.)?transformer\.resblocks\.\d+\.ls_[12]\.', 'a CLIP with layer scale'),
    (r'visual\.layer1\.', 'a CLIP with a ResNet'),
)
# Defaults of open_clip's model configs.
VISION = dict(layers=12, width=768, head_width=64, mlp_ratio=4.0, patch_size=16, image_size=224)
TEXT = dict(layers=12, width=512, heads=8, mlp_ratio=4.0, context_length=77, vocab_size=49408)
TOP = dict(embed_dim=None, quick_gelu=False, vision_cfg=None, text_cfg=None)
# Values for CLIP's behavior, and fields that do not affect the outputs of a trained model.
AS_IN_CLIP = dict(
    pool_type=('tok', 'argmax'), pos_embed_type=('learnable',), proj_type=('linear',), block_type=('default',)
)
IGNORED = re.compile(
    r'timm_(?!model_name).*|hf_(?!model_name).*|attn_pooler_.*|tokenizer_.*|patch_dropout|'
    r'output_tokens|output_dict|pad_id|eos_id|custom_text|init_logit_scale|cast_dtype'
)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def refuse_unsupported(keys: Iterable[str], name: str) -> None:
    """Raise an error for models of open_clip and OpenAI other than a CLIP with two plain transformers.

    Raises:
        ValueError: If the model is not supported; names its kind and the key.
    """
    keys = list(keys)
    if not any(key.startswith(('visual.', 'clip.visual.')) for key in keys):
        return
    for pattern, kind in UNSUPPORTED:
        mark = next((key for key in keys if re.match(pattern, key.removeprefix('clip.'))), None)
        if mark:
            raise ValueError(
                f'{name} is {kind} ({mark}); only CLIPs with the vision transformer '
                "and the text transformer of OpenAI's CLIP are supported"
            )


def find_config(path: Path) -> Path | None:
    """Find ``open_clip_config.json``, or a model config with the checkpoint's name, in its folder."""
    if path.with_name('open_clip_config.json').is_file():
        return path.with_name('open_clip_config.json')
    other = path.with_suffix('.json')
    try:
        content = json.loads(other.read_text(encoding='utf-8')) if other.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None  # any file may have that name
    return other if isinstance(content, dict) and ({'model_cfg', 'vision_cfg'} & set(content)) else None


def apply_config(checkpoint: Checkpoint, path: Path) -> None:
    """Set heads and activation from a model config of open_clip, after comparing its sizes with the weights.

    Args:
        checkpoint (Checkpoint): The checkpoint to update.
        path (Path): JSON of open_clip's ``model_configs``, or a hub repository's ``open_clip_config.json``.

    Raises:
        ValueError: If it is not such a config, contradicts the shapes, or has unsupported settings.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        model = content.get('model_cfg', content)
        parts: dict[str, tuple[Mapping, Mapping]] = {
            '': (TOP, model),
            'vision_cfg.': (VISION, model['vision_cfg']),
            'text_cfg.': (TEXT, model['text_cfg']),
        }
        unsupported = [
            f'{part}{key}={value!r}'
            for part, (known, given) in parts.items()
            for key, value in given.items()
            if not _is_supported(key, value, known)
        ]
        if unsupported:
            raise ValueError(f'it has {", ".join(unsupported[:6])}, which this package does not support')
        config = _clip_config({**TOP, **model})
    except Exception as error:  # odd content can fail in any way; the cause is reported
        raise ValueError(f'{path} is not a model config of a CLIP of open_clip: {error}') from error
    if checkpoint.sizes()['projection_dim'] != config.projection_dim:
        raise ValueError(
            f'{path}: the config says embed_dim={config.projection_dim}, the weights '
            f'{checkpoint.sizes()["projection_dim"]}'
        )
    checkpoint.update_from_config(config, str(path))
    checkpoint.notes.append(f'attention heads and activation are those of {path}')
    checkpoint.notes += _preprocessing(content, model)


def _is_supported(key: str, value: Any, known: Mapping) -> bool:
    """Return whether a field is a size, is ignored, or has the value of CLIP's behavior."""
    if key in known or IGNORED.fullmatch(key) or not value:
        return True
    if key == 'norm_kwargs':
        return set(value) == {'eps'}
    return value in AS_IN_CLIP.get(key, ())


def _clip_config(model: Mapping) -> CLIPConfig:
    """Return the equivalent config of transformers."""
    vision, text = {**VISION, **model['vision_cfg']}, {**TEXT, **model['text_cfg']}
    both = [
        dict(
            hidden_size=tower['width'],
            num_hidden_layers=tower['layers'],
            intermediate_size=int(tower['width'] * tower['mlp_ratio']),
            num_attention_heads=heads,
            hidden_act='quick_gelu' if model['quick_gelu'] else 'gelu',
            layer_norm_eps=(tower.get('norm_kwargs') or {}).get('eps', 1e-5),
        )
        for tower, heads in ((text, text['heads']), (vision, vision['width'] // vision['head_width']))
    ]
    last = text['vocab_size'] - 1
    return CLIPConfig(
        text_config=dict(
            **both[0],
            vocab_size=text['vocab_size'],
            bos_token_id=last - 1,
            eos_token_id=last,
            pad_token_id=1,
            max_position_embeddings=text['context_length'],
        ),
        vision_config=dict(**both[1], patch_size=vision['patch_size'], image_size=vision['image_size']),
        projection_dim=model['embed_dim'],
    )


def _preprocessing(content: Mapping, model: Mapping) -> list[str]:
    """Return notes about preprocessing that differs from CLIP's."""
    notes, preprocess = [], content.get('preprocess_cfg') or {}
    for key, expected in (('mean', MEAN), ('std', STD)):
        found = preprocess.get(key)
        if found and list(found) != list(expected):
            notes.append(
                f"its frames were normalized with {key}={list(found)}, in 0 to 1, not CLIP's: "
                'set it in model.data_preprocessor, in 0 to 255'
            )
    if model['text_cfg'].get('hf_tokenizer_name'):
        name = model['text_cfg']['hf_tokenizer_name']
        notes.append(f"its captions were tokenized by {name}, not by CLIP's tokenizer")
    return notes
