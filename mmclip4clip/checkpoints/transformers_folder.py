"""A folder of ``transformers``' CLIPModel: config.json and the weights."""
import json
import re
from pathlib import Path
from typing import Dict, List

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPConfig

from .checkpoint import CLIP, UNSEEN, Checkpoint
from .files import read_file
from .openai import clip_rules
from .renaming import Rule, narrow_dtypes, rename_from_ours, rename_to_ours

WRITTEN = ('config.json', 'model.safetensors')
# transformers looks for them in this order.
WEIGHTS = (r'model(-\d+-of-\d+)?\.safetensors', r'pytorch_model(-\d+-of-\d+)?\.bin')
# Buffers that old versions saved: the numbers 0, 1, 2, ...
BUFFERS = ('text_model.embeddings.position_ids', 'vision_model.embeddings.position_ids')


def rules_of() -> List[Rule]:
    """Return the table: our backbone's keys are theirs with a prefix."""
    return [Rule(key.removeprefix(CLIP), (key, )) for rule in clip_rules() for key in rule.ours]


def read_weights(folder: Path) -> Dict[str, Tensor]:
    """Read the weights, from one file or from several.

    Raises:
        ValueError: If the folder has no config of a CLIP, or no weights.
    """
    if not (folder / 'config.json').is_file():
        raise ValueError(f'{folder} has no config.json, so it is no folder of transformers')
    kind = json.loads((folder / 'config.json').read_text()).get('model_type')
    if kind != 'clip':
        raise ValueError(f'{folder}/config.json is of model_type={kind!r}, expected clip')
    names = sorted(path.name for path in folder.iterdir())
    for pattern in WEIGHTS:
        parts = [name for name in names if re.fullmatch(pattern, name)]
        if parts:
            whole = [name for name in parts if '-of-' not in name]
            tensors: Dict[str, Tensor] = {}
            for path in (folder / name for name in whole or parts):
                tensors |= read_safetensors(path) if path.suffix == '.safetensors' else read_file(path)
            return tensors
    raise ValueError(f'{folder} has neither model.safetensors nor pytorch_model.bin, but {", ".join(names)}')


def read_safetensors(path: Path) -> Dict[str, Tensor]:
    """Read a safetensors file, with an error that names it.

    Raises:
        ValueError: If the file is broken.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f'{path} is broken: {error}') from error


def to_ours(folder: Path) -> Checkpoint:
    """Read a folder that ``CLIPModel.save_pretrained`` wrote.

    Raises:
        ValueError: If it is no folder of a CLIP, keys are missing or unknown, or
            the config does not fit the weights.
    """
    tensors = read_weights(folder)
    unused = {key: tensors[key] for key in BUFFERS if key in tensors}
    checkpoint = Checkpoint(rename_to_ours(tensors, rules_of(), str(folder), unused), 'transformers',
                            narrow_dtypes(tensors))
    checkpoint.learn(CLIPConfig.from_pretrained(folder), str(folder))
    if unused:
        checkpoint.notes.append('left out position_ids, which only count 0, 1, 2, ...')
    return checkpoint


def from_ours(checkpoint: Checkpoint, folder: Path) -> int:
    """Write a folder that ``CLIPBackbone(pretrained=FOLDER)`` takes; return the number of tensors.

    Raises:
        ValueError: If the checkpoint holds more than a CLIPModel can.
    """
    if checkpoint.adapter != 'MeanAdapter' or checkpoint.linear_patch != '2d':
        raise ValueError(f'a CLIPModel of transformers cannot hold {checkpoint.adapter} with a '
                         f'{checkpoint.linear_patch} patch, only CLIP with a 2d patch: --clip-only leaves '
                         'out the rest')
    back = checkpoint.origin == 'transformers'
    tensors = rename_from_ours(checkpoint.state_dict, rules_of(), 'the checkpoint',
                               checkpoint.dtypes if back else {})
    sizes = checkpoint.clip_config()
    for tower in UNSEEN:  # what CLIPTextModelWithProjection and its like read
        sizes[tower]['projection_dim'] = sizes['projection_dim']
    config = CLIPConfig(**sizes, architectures=['CLIPModel'])
    dtypes = {value.dtype for value in tensors.values()}
    config.dtype = dtypes.pop() if len(dtypes) == 1 else torch.float32
    folder.mkdir()
    config.save_pretrained(folder)
    save_file(tensors, folder / 'model.safetensors', metadata=dict(format='pt'))
    # safetensors makes files that only their owner may read.
    (folder / 'model.safetensors').chmod((folder / 'config.json').stat().st_mode)
    return len(tensors)
