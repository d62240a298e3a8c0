"""The two towers of a dual encoder of ``transformers``, and their blocks."""

from collections.abc import Sequence

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

TOWERS = ('vision', 'text')
PROJECTIONS = dict(vision='visual_projection', text='text_projection')  # some models have none


def read_towers(towers: bool | str | Sequence[str], argument: str) -> tuple[str, ...]:
    """Return the names of the towers that an option of a config selects.

    Args:
        towers (bool | str | Sequence[str]): True for both, False for none, or names.
        argument (str): The option, for error messages.

    Raises:
        ValueError: If a name is not one of a tower.

    Examples:
        >>> read_towers(True, 'gradient_checkpointing'), read_towers('text', 'gradient_checkpointing')
        (('vision', 'text'), ('text',))
    """
    if isinstance(towers, bool):
        return TOWERS if towers else ()
    names = (towers,) if isinstance(towers, str) else towers
    if not isinstance(names, Sequence) or not all(name in TOWERS for name in names):
        raise ValueError(f'{argument} must be True, False or names of {TOWERS}, got {towers!r}')
    return tuple(dict.fromkeys(names))


def tower_blocks(model: nn.Module, tower: str) -> nn.ModuleList:
    """Return the transformer blocks of a tower, from the lowest to the highest.

    Args:
        model (nn.Module): Dual encoder of ``transformers``.
        tower (str): ``'vision'`` or ``'text'``.

    Raises:
        ValueError: If the tower has no list of blocks.
    """
    root = getattr(model, f'{tower}_model')
    for module in root.modules():
        blocks = list(module) if isinstance(module, nn.ModuleList) else []
        if blocks and all(isinstance(block, GradientCheckpointingLayer) for block in blocks):
            return module
    raise ValueError(f'the {tower} tower, a {type(root).__name__}, has no list of transformer blocks')
