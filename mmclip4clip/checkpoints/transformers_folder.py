"""A folder of ``transformers``' CLIPModel: config.json and the weights."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPConfig

from ..models.backbones.pretrained_folder import read_config, read_weights
from .checkpoint import CLIP, NOT_IN_SHAPES, Checkpoint
from .openai import clip_rules
from .renaming import Rule, narrow_dtypes, rename_from_native, rename_to_native

WRITTEN = ('config.json', 'model.safetensors')
# Buffers that old versions saved; with the numbers 0, 1, 2, ...
BUFFERS = ('text_model.embeddings.position_ids', 'vision_model.embeddings.position_ids')


def key_rules() -> list[Rule]:
    """Return the rules: the backbone has the keys of transformers with a prefix."""
    return [Rule(key.removeprefix(CLIP), (key,)) for rule in clip_rules() for key in rule.native]


def to_native(folder: Path) -> Checkpoint:
    """Read a folder that ``CLIPModel.save_pretrained`` wrote.

    Raises:
        ValueError: If it is not the folder of a CLIP, keys are missing or unknown, or the config
            contradicts the weights.
    """
    family, config = read_config(folder)
    if family.model_type != 'clip':
        raise ValueError(f'{folder} is of model_type={family.model_type!r}, expected clip')
    tensors = read_weights(folder)
    unused = {key: tensors[key] for key in BUFFERS if key in tensors}
    checkpoint = Checkpoint(
        rename_to_native(tensors, key_rules(), str(folder), unused), 'transformers', narrow_dtypes(tensors)
    )
    checkpoint.update_from_config(config, str(folder))
    if unused:
        checkpoint.notes.append('left out position_ids, which only count 0, 1, 2, ...')
    return checkpoint


def from_native(checkpoint: Checkpoint, folder: Path) -> int:
    """Write a folder for ``CLIPBackbone(pretrained=FOLDER)``; return the number of tensors.

    Raises:
        ValueError: If the checkpoint cannot be represented as a CLIPModel.
    """
    if checkpoint.adapter != 'MeanAdapter' or checkpoint.linear_patch != '2d':
        raise ValueError(
            f'a CLIPModel of transformers cannot represent {checkpoint.adapter} with a '
            f'{checkpoint.linear_patch} patch, only CLIP with a 2d patch: --clip-only leaves '
            'out the rest'
        )
    back = checkpoint.origin == 'transformers'
    tensors = rename_from_native(
        checkpoint.state_dict, key_rules(), 'the checkpoint', checkpoint.dtypes if back else {}
    )
    sizes = checkpoint.clip_config()
    for tower in NOT_IN_SHAPES:  # for CLIPTextModelWithProjection and CLIPVisionModelWithProjection
        sizes[tower]['projection_dim'] = sizes['projection_dim']
    config = CLIPConfig(**sizes, architectures=['CLIPModel'])
    dtypes = {value.dtype for value in tensors.values()}
    config.dtype = dtypes.pop() if len(dtypes) == 1 else torch.float32
    folder.mkdir()
    config.save_pretrained(folder)
    save_file(tensors, folder / 'model.safetensors', metadata=dict(format='pt'))
    # safetensors creates files that only their owner can read.
    (folder / 'model.safetensors').chmod((folder / 'config.json').stat().st_mode)
    return len(tensors)
