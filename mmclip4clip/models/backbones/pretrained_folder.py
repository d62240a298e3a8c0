"""The config and the weights in a folder that ``CLIPModel.save_pretrained`` wrote.

Only files that this module names are read, and only the values of ``config.json`` that describe a CLIP. So a
folder cannot make ``transformers`` download kernels or other models, run code, or leave weights random.
"""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPConfig

from ...checkpoint_file import verify_checkpoint
from ...checkpoint_guard import load_plain
from ..weight_check import COUNTING

WEIGHTS = ('model.safetensors', 'pytorch_model.bin')  # in the order of transformers
TOWER = (
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'projection_dim',
    'hidden_act',
    'layer_norm_eps',
    'attention_dropout',
    'initializer_range',
    'initializer_factor',
)
DESCRIBED = dict(
    text_config=(
        *TOWER,
        'vocab_size',
        'max_position_embeddings',
        'bos_token_id',
        'eos_token_id',
        'pad_token_id',
    ),
    vision_config=(*TOWER, 'num_channels', 'image_size', 'patch_size'),
)
# Keys of a config.json that make transformers download, replace or run something.
REQUESTS = (
    'auto_map',
    'attn_implementation',
    '_attn_implementation',
    '_attn_implementation_internal',
    'fusion_config',
    'transformers_weights',
    'custom_pipelines',
)
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class FolderError(OSError, ValueError):
    """A folder that does not contain a complete CLIP; the message names the folder and the fault."""


def has_weights(folder: str | Path) -> bool:
    """Return whether a folder has weights, in one file or in several with an index."""
    return any(Path(folder, name + end).exists() for name in WEIGHTS for end in ('', '.index.json'))


def read_config(folder: Path) -> CLIPConfig:
    """Read the values of ``config.json`` that describe a CLIP, and ignore all others.

    Raises:
        FolderError: If the file is missing, or describes another model or quantized weights.
    """
    path = folder / 'config.json'
    if not path.is_file():
        raise FolderError(f'{folder} has no config.json, so it is not a folder of transformers')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(f'{path} cannot be read: {error!r}') from error
    _check_kind(path, content)
    try:
        given = CLIPConfig.from_dict(content)  # handles the names that old versions wrote
        described: dict[str, Any] = {
            tower: {key: getattr(getattr(given, tower), key) for key in keys}
            for tower, keys in DESCRIBED.items()
        }
        described.update(
            projection_dim=given.projection_dim,
            logit_scale_init_value=given.logit_scale_init_value,
            attn_implementation='sdpa',
        )
        return CLIPConfig(**described)
    except Exception as error:  # odd values fail in many ways; the cause is reported
        raise FolderError(f'{path} describes no CLIP: {error!r}') from error


def _check_kind(path: Path, content: Any) -> None:
    """Refuse the config of another model or of partial weights, and log what a CLIP asks for in vain."""
    kind = content.get('model_type') if isinstance(content, dict) else None
    if kind != 'clip':
        raise FolderError(f'{path} is of model_type={kind!r}, expected clip')
    if content.get('quantization_config'):
        raise FolderError(
            f'{path} has a quantization_config, expected full weights: dequantize them and save again'
        )
    if path.with_name('adapter_config.json').exists():
        raise FolderError(
            f'{path.parent} has an adapter_config.json: its weights belong to a PEFT adapter; merge '
            'it into its CLIP and save that'
        )
    towers = [content.get(tower) for tower in DESCRIBED]
    requests = [
        key for key in REQUESTS for part in (content, *towers) if isinstance(part, dict) and part.get(key)
    ]
    if requests:
        print_log(
            f'{path} also asks for {", ".join(dict.fromkeys(requests))}, which is not followed',
            logger='current',
        )


def weight_files(folder: Path) -> list[Path]:
    """List the weight files of a folder: one file, or the parts that an index names.

    Raises:
        FolderError: If there are none, or a part is missing or in another folder.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f'{name}.index.json'
        if not index.is_file():
            continue
        try:
            weight_map = json.loads(index.read_text(encoding='utf-8'))['weight_map']
            parts = sorted({str(part) for part in weight_map.values()})
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise FolderError(f'{index} names no files: {error!r}') from error
        absent = [part for part in parts if Path(part).name != part or not (folder / part).is_file()]
        if absent or not parts:
            raise FolderError(
                f'{index} names {len(parts)} files, of which {len(absent)} are not in the '
                f'folder: {", ".join(absent[:3])}'
            )
        return [folder / part for part in parts]
    names = ', '.join(sorted(path.name for path in folder.iterdir()))
    raise FolderError(f'{folder} has neither {" nor ".join(WEIGHTS)}, but {names}')


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of a folder in their stored precision, without running code from it.

    Raises:
        FolderError: If files are missing or damaged, or contain more than tensors.
    """
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            if path.suffix.lower() == '.safetensors':
                tensors.update(load_file(path))
            else:
                verify_checkpoint(path)
                tensors.update(load_plain(path, map_location='cpu'))
        except (
            SafetensorError,
            pickle.UnpicklingError,
            OSError,
            RuntimeError,
            EOFError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
        ) as error:
            cause = str(error).split('Please file an issue')[0].strip() or repr(error)
            raise FolderError(f'{path} is broken: {cause.splitlines()[-1]}') from error
    others = [
        f'{key} ({getattr(value, "dtype", type(value).__name__)})'
        for key, value in tensors.items()
        if not _is_weight(key, value)
    ]
    if others:
        raise FolderError(
            f'{folder} contains entries that are not named floating-point tensors: {", ".join(others[:3])}'
        )
    return tensors


def _is_weight(key: object, value: object) -> bool:
    if not isinstance(key, str) or not isinstance(value, Tensor):
        return False
    return value.dtype in PRECISIONS or COUNTING.fullmatch(key) is not None
