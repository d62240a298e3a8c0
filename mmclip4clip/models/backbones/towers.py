"""The two towers of a dual encoder of ``transformers``: blocks, embeddings and projections."""

from collections.abc import Sequence
from typing import Any

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


def vision_projection(model: Any) -> nn.Module:
    """Return the projection of pooled images; the identity where the tower itself projects."""
    return getattr(model, 'visual_projection', None) or nn.Identity()


def text_projection(model: Any) -> nn.Linear:
    """Return the projection of hidden states of tokens."""
    return getattr(model, 'text_projection', None) or model.text_model.head


def text_tower(model: Any) -> Any:
    """Return the module with the ``embeddings`` and the ``encoder`` of the text tower."""
    return getattr(model.text_model, 'roberta', model.text_model)


def text_embeddings(model: Any) -> tuple[nn.Embedding, nn.Embedding]:
    """Return the embeddings of tokens and of positions of the text tower."""
    embeddings = text_tower(model).embeddings
    words = getattr(embeddings, 'token_embedding', None) or embeddings.word_embeddings
    return words, getattr(embeddings, 'position_embedding', None) or embeddings.position_embeddings


def check_features(model: Any) -> None:
    """Check that both towers have features, of the same width.

    Raises:
        ValueError: If not.
    """
    name, vision = type(model).__name__.removesuffix('Model'), model.config.vision_config
    if not getattr(vision, 'vision_use_head', True):
        raise ValueError(f'{name} has vision_use_head=False, so no feature of a frame')
    frames = getattr(vision_projection(model), 'out_features', vision.hidden_size)
    captions = text_projection(model).out_features
    if frames != captions:
        raise ValueError(
            f'the towers of {name} have features of width {frames} for frames and {captions} for captions, '
            'expected the same'
        )
