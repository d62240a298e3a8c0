"""Freezing of the lowest layers of a dual encoder, the reference's ``freeze_layer_num``."""

import re
from typing import Any

# Layers before the blocks. All others, such as final norms, projections and the logit scale, always train.
FIRST = re.compile(r'\.(embeddings|pre_layrnorm)\.')
BLOCK = re.compile(r'\.encoder\.layers?\.(\d+)\.')


def freeze_layers(model: Any, frozen_layers: int, linear_patch: str) -> None:
    """Freeze the embeddings and the lowest blocks of both towers.

    Args:
        model (PreTrainedModel): A dual encoder of ``transformers``.
        frozen_layers (int): Number of blocks, or -1 to freeze nothing.
        linear_patch (str): With ``'3d'``, the patch projection trains.

    Raises:
        ValueError: If there are not so many blocks.
    """
    towers = model.config.text_config, model.config.vision_config
    depth = max(tower.num_hidden_layers for tower in towers)
    if not -1 <= frozen_layers <= depth:
        raise ValueError(
            f'frozen_layers must lie between -1 (train everything) and {depth} '
            f'(all blocks), got {frozen_layers}'
        )
    if frozen_layers == -1:
        return
    for name, parameter in model.named_parameters():
        block = BLOCK.search(name)
        below = FIRST.search(name) if block is None else int(block[1]) < frozen_layers
        if below and not (linear_patch == '3d' and '.patch_embedding.' in name):
            parameter.requires_grad = False
