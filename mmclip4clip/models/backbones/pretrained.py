"""A CLIP of ``transformers``, from a local folder or the hub, whole or not at all.

Only files that this module names are read, and of ``config.json`` only the values that describe a CLIP. So a
folder cannot make ``transformers`` download kernels or other models, run code, or leave weights random.
"""

import functools
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from mmengine.logging import print_log
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from ...checkpoint_file import verify_checkpoint
from ...hub import load_named
from ..weight_check import COUNTING, compare_weights

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
# Keys of a config.json that would have transformers fetch, replace or run something.
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
    """A folder does not hold a whole CLIP; says what is wrong and names the folder."""


def load_pretrained(name: str) -> CLIPModel:
    """Load CLIP in fp32, and log from where, how much and in which precision it was stored.

    Args:
        name (str): Local folder, or name on the Hugging Face hub.

    Raises:
        OSError: If there is no such CLIP, or it is not whole or of another kind. What a folder holds
            amiss is a :class:`FolderError`.
    """
    try:
        folder = find_folder(name)
        config, tensors = read_config(folder), read_weights(folder)
        model = _build(config, tensors, folder)
    except FolderError as error:
        raise FolderError(
            f'backbone.pretrained={name!r} was refused, as it is no whole CLIP such as '
            f'CLIPModel.save_pretrained(FOLDER) writes: {error}'
        ) from error
    except (OSError, ValueError) as error:
        raise OSError(
            f'backbone.pretrained={name!r} could not be loaded: it is neither a local folder nor on the hub. '
            'Without a network, save CLIP with CLIPModel.save_pretrained(FOLDER) elsewhere and give FOLDER; '
            f'for random weights leave pretrained out. Cause: {error}'
        ) from error
    precisions = sorted({str(value.dtype).removeprefix('torch.') for value in tensors.values()})
    print_log(
        f'CLIP from {name}: all {len(model.state_dict())} tensors, none missing, none left over, '
        f'stored in {", ".join(precisions)}' + ('' if Path(name).is_dir() else f' ({folder})'),
        logger='current',
    )
    return model


def find_folder(name: str) -> Path:
    """Return the local folder of that name, or else that of the hub's files, downloaded where needed.

    Raises:
        OSError: If there is neither.
        ValueError: If it cannot be a name on the hub.
    """
    if Path(name).exists():
        return Path(name)
    for weights in WEIGHTS:
        stem, end = weights.split('.')
        files = [
            'config.json',
            'adapter_config.json',
            weights,
            f'{weights}.index.json',
            f'{stem}-*-of-*.{end}',
        ]
        download = functools.partial(snapshot_download, allow_patterns=files)
        folder = Path(load_named(download, name, complete=has_weights))
        if has_weights(folder):
            break
    return folder


def has_weights(folder: str | Path) -> bool:
    """Tell whether a folder has weights, in one file or with an index of several."""
    return any(Path(folder, name + end).exists() for name in WEIGHTS for end in ('', '.index.json'))


def read_config(folder: Path) -> CLIPConfig:
    """Read what describes a CLIP from ``config.json``, and nothing else of it.

    Raises:
        FolderError: If there is none, it is of another model, or asks for more than a CLIP in plain tensors.
    """
    path = folder / 'config.json'
    if not path.is_file():
        raise FolderError(f'{folder} has no config.json, so it is no folder of transformers')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderError(f'{path} cannot be read: {error!r}') from error
    kind = content.get('model_type') if isinstance(content, dict) else None
    if kind != 'clip':
        raise FolderError(f'{path} is of model_type={kind!r}, expected clip')
    if content.get('quantization_config'):
        raise FolderError(
            f'{path} has a quantization_config, expected weights in full: dequantize them and save again'
        )
    if (folder / 'adapter_config.json').exists():
        raise FolderError(
            f'{folder} has an adapter_config.json: its weights belong to a PEFT adapter; merge '
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
    try:
        given = CLIPConfig.from_dict(content)  # it knows the names that old versions wrote
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


def weight_files(folder: Path) -> list[Path]:
    """List the files of a folder's weights: one, or the parts that an index names.

    Raises:
        FolderError: If there are none, or a part is missing or elsewhere.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f'{name}.index.json'
        if not index.is_file():
            continue
        try:
            parts = sorted(set(json.loads(index.read_text(encoding='utf-8'))['weight_map'].values()))
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
    """Read all tensors of a folder as they were stored, without running anything in it.

    Raises:
        FolderError: If files are missing or damaged, or hold more than tensors.
    """
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            if path.suffix == '.safetensors':
                tensors.update(load_file(path))
            else:
                verify_checkpoint(path)
                tensors.update(torch.load(path, map_location='cpu', weights_only=True))
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
        if not COUNTING.fullmatch(str(key)) and getattr(value, 'dtype', None) not in PRECISIONS
    ]
    if others:
        raise FolderError(f'{folder} holds what are no floating-point tensors: {", ".join(others[:3])}')
    return tensors


def _build(config: CLIPConfig, tensors: dict[str, Tensor], folder: Path) -> CLIPModel:
    """Build CLIP with all of the tensors.

    Raises:
        FolderError: If keys are missing, unexpected or of another shape, or the sizes make no CLIP.
    """
    try:
        with torch.device('meta'):  # shapes alone, without memory or random numbers
            expected = CLIPModel(config).state_dict()
    except Exception as error:  # odd sizes fail in many ways; the cause is reported
        raise FolderError(f'{folder}/config.json describes no CLIP: {error!r}') from error
    if all(key.startswith('clip.') for key in tensors):  # as transformers saves a CLIP inside of its models
        tensors = {key.removeprefix('clip.'): value for key, value in tensors.items()}
    difference = compare_weights(expected, tensors)
    if difference:
        raise FolderError(
            f'the weights in {folder} are not those of the CLIP that its config.json describes: {difference}'
        )
    return CLIPModel.from_pretrained(
        None, config=config, state_dict={key: tensors[key] for key in expected}, dtype=torch.float32
    )
