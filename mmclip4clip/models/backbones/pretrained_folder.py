"""The config and the weights in a folder that ``save_pretrained`` of a dual encoder wrote.

Only files that this module names are read, and only the values of ``config.json`` that describe an encoder of
its family. So a folder cannot make ``transformers`` download kernels or other models, run code, or leave
weights random.
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

from ...checkpoint_file import verify_checkpoint
from ...checkpoint_guard import load_plain
from ..weight_check import COUNTING
from .families import Family, family_of

WEIGHTS = ('model.safetensors', 'pytorch_model.bin')  # in the order of transformers
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
DEFAULTS = dict(vision_use_head=(True,))  # transformers 4 has it only if the folder has it
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class FolderError(OSError, ValueError):
    """A folder that does not contain a complete encoder; the message names the folder and the fault."""


def has_weights(folder: str | Path) -> bool:
    """Return whether a folder has weights, in one file or in several with an index."""
    return any(Path(folder, name + end).exists() for name in WEIGHTS for end in ('', '.index.json'))


def read_config(folder: Path) -> tuple[Family, Any]:
    """Read the values of ``config.json`` that describe an encoder, and ignore all others.

    Returns:
        tuple[Family, PretrainedConfig]: The family, and the config of its class.

    Raises:
        FolderError: If the file is missing, or describes another kind of model or quantized weights.
    """
    path = folder / 'config.json'
    if not path.is_file():
        raise FolderError(f'{folder} has no config.json, so it is not a folder of transformers')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(f'{path} cannot be read: {error!r}') from error
    family = _check_kind(path, content)
    try:
        given = family.config_class.from_dict(content)  # handles the names that old versions wrote
        return family, build_config(family, describe_config(family, given))
    except ImportError:
        raise
    except Exception as error:  # odd values fail in many ways; the cause is reported
        raise FolderError(f'{path} describes no {family.name}: {error!r}') from error


def describe_config(family: Family, config: Any) -> dict[str, Any]:
    """Return the values of a config that describe an encoder of this family, as plain data."""
    towers = {
        tower: {
            key: getattr(getattr(config, tower), key, *DEFAULTS.get(key, ())) for key in family.keys(tower)
        }
        for tower in ('text_config', 'vision_config')
    }
    return {**towers, **{key: getattr(config, key) for key in family.both}}


def build_config(family: Family, values: dict[str, Any]) -> Any:
    """Build the config of a family, with fused attention where transformers has it."""
    sdpa = getattr(family.model_class, '_supports_sdpa', True)
    kind = dict(attn_implementation='sdpa' if sdpa else 'eager')
    towers = ('text_config', 'vision_config')  # in transformers 4, each tower has a kind
    nested = {name: {**values[name], **kind} for name in towers if isinstance(values.get(name), dict)}
    return family.config_class(**{**values, **nested, **kind})


def settings_config(settings: dict[str, Any]) -> tuple[Family, Any]:
    """Build the config of the family that settings name.

    Args:
        settings (dict): Argument ``config`` of :class:`CLIPBackbone`: arguments of the config class of a
            family, and ``model_type``, ``'clip'`` by default.

    Raises:
        ValueError: If the family is unknown.
    """
    values = dict(settings)
    family = family_of(values.pop('model_type', 'clip'), 'model.backbone.config')
    return family, build_config(family, values)


def _check_kind(path: Path, content: Any) -> Family:
    """Refuse the config of another model or of partial weights, and log what an encoder asks for in vain."""
    try:
        family = family_of(content.get('model_type') if isinstance(content, dict) else None, str(path))
    except ValueError as error:
        raise FolderError(str(error)) from None
    if content.get('quantization_config'):
        raise FolderError(
            f'{path} has a quantization_config, expected full weights: dequantize them and save again'
        )
    if path.with_name('adapter_config.json').exists():
        raise FolderError(
            f'{path.parent} has an adapter_config.json: its weights belong to a PEFT adapter; merge '
            'it into its CLIP and save that'
        )
    towers = [content.get(tower) for tower in ('text_config', 'vision_config')]
    requests = [
        key for key in REQUESTS for part in (content, *towers) if isinstance(part, dict) and part.get(key)
    ]
    if requests:
        print_log(
            f'{path} also asks for {", ".join(dict.fromkeys(requests))}, which is not followed',
            logger='current',
        )
    return family


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
