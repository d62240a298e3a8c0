"""A folder of ``transformers`` with a dual encoder of any family: config.json and the weights."""

from pathlib import Path
from typing import Any

import torch

from ..models.backbones.families import Family
from ..models.backbones.pretrained import read_frame_format
from ..models.backbones.pretrained_folder import read_config, read_weights, settings_config
from ..models.weight_check import rename_layers
from .checkpoint import Checkpoint
from .clip_settings import TOWERS, clip_settings
from .encoder_keys import build_without_weights, counting_buffers, encoder_rules
from .processor_files import (
    PROCESSOR,
    TOKENIZER_FILES,
    read_tokenizer,
    write_image_processor,
    write_tokenizer,
)
from .renaming import narrow_dtypes, rename_from_native, rename_to_native

WEIGHTS = 'model.safetensors'
WRITTEN = ('config.json', WEIGHTS, PROCESSOR, *TOKENIZER_FILES)


def to_native(folder: Path) -> Checkpoint:
    """Read a folder that ``save_pretrained`` of a dual encoder wrote, with its processor and tokenizer.

    Raises:
        ValueError: If it is not the folder of an encoder, keys are missing or unknown, or the config
            contradicts the weights.
    """
    family, config = read_config(folder)
    settings = clip_settings(config)
    tensors = read_weights(folder)
    unused = counting_buffers(tensors)
    rules = encoder_rules(settings)
    tensors = rename_layers({rule.source for rule in rules}, tensors)
    state_dict = rename_to_native(tensors, rules, str(folder), unused)
    tokenizers, notes = read_tokenizer(folder)
    checkpoint = Checkpoint(
        state_dict,
        'transformers',
        narrow_dtypes(tensors),
        notes=notes,
        encoder={} if family.model_type == 'clip' else settings,
        frame_format=read_frame_format(folder)._asdict(),
        tokenizers=tokenizers,
    )
    if family.model_type == 'clip':
        checkpoint.update_from_config(config, str(folder))
    if unused:
        checkpoint.notes.append('left out position_ids, which only count 0, 1, 2, ...')
    return checkpoint


def from_native(checkpoint: Checkpoint, folder: Path) -> int:
    """Write a folder for ``CLIPBackbone(pretrained=FOLDER)``; return the number of tensors.

    The image processor and the tokenizer are written if the checkpoint has them.

    Raises:
        ValueError: If the checkpoint cannot be represented as a model of ``transformers``.
    """
    family = checkpoint.family
    if checkpoint.adapter != 'MeanAdapter' or checkpoint.linear_patch != '2d':
        raise ValueError(
            f'a {family.name}Model of transformers cannot represent {checkpoint.adapter} with a '
            f'{checkpoint.linear_patch} patch, only {family.name} with a 2d patch: --clip-only leaves '
            'out the rest'
        )
    back = checkpoint.origin == 'transformers'
    settings = checkpoint.clip_config()
    tensors = rename_from_native(
        checkpoint.state_dict, encoder_rules(settings), 'the checkpoint', checkpoint.dtypes if back else {}
    )
    model = build_without_weights(settings)
    model.config = _config(family, settings)
    model.load_state_dict(tensors, strict=True, assign=True)
    model.save_pretrained(folder, max_shard_size='1000GB')
    if len({value.dtype for value in tensors.values()}) > 1:
        # transformers before 4.56 has, and can write, only torch_dtype.
        setattr(model.config, 'dtype' if hasattr(model.config, 'dtype') else 'torch_dtype', torch.float32)
        model.config.save_pretrained(folder)
    # safetensors creates files that only their owner can read.
    (folder / WEIGHTS).chmod((folder / 'config.json').stat().st_mode)
    if checkpoint.frame_format:
        write_image_processor(checkpoint.frame_format, family, model.config, folder)
    checkpoint.notes += write_tokenizer(checkpoint.tokenizers, folder)
    return len(tensors)


def _config(family: Family, settings: dict[str, Any]) -> Any:
    """Return the config to save, whose towers can also be loaded alone."""
    values = dict(settings)
    for tower in TOWERS:
        if 'projection_dim' in family.keys(tower):
            values[tower] = dict(values[tower], projection_dim=values['projection_dim'])
    return settings_config(values)[1]
