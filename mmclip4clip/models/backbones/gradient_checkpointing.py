from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from .towers import read_towers, tower_blocks


def checkpoint_towers(model: nn.Module, towers: bool | str | Sequence[str]) -> None:
    """Recompute the activations inside each block in the backward pass, instead of keeping them.

    Only training does so. Gradients stay the same to the bit: random numbers and autocast are restored for
    the second forward pass. Frozen blocks at the bottom of a tower are not computed twice.

    Args:
        model (nn.Module): Dual encoder of ``transformers``.
        towers (bool | str | Sequence[str]): See :func:`read_towers`.

    Raises:
        ValueError: If a name is not one of a tower.
    """
    for tower in read_towers(towers, 'gradient_checkpointing'):
        blocks: Any = tower_blocks(model, tower)
        for block in blocks:
            block.gradient_checkpointing = True
            # The attribute that transformers documents for its blocks. Reentrant checkpoints would warn, and
            # lose gradients where the input of the first block has none.
            block._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
