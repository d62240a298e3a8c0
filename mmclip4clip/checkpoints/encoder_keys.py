"""Keys of an encoder of any family, from its settings."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..models.backbones.random_encoder import build_random
from ..models.weight_check import COUNTING
from .checkpoint import CLIP
from .renaming import Rule


def build_without_weights(settings: Mapping[str, Any]) -> Any:
    """Build the model of ``transformers`` that settings describe, on the device ``meta``.

    Args:
        settings (dict): Argument ``config`` of :class:`CLIPBackbone`.
    """
    with torch.device('meta'):  # only shapes, without memory
        return build_random(dict(settings)).model


def encoder_rules(settings: Mapping[str, Any]) -> list[Rule]:
    """Return the rules of an encoder: the backbone has the keys of ``transformers`` with a prefix.

    Args:
        settings (dict): Argument ``config`` of :class:`CLIPBackbone`.

    Examples:
        >>> tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        >>> rules = encoder_rules(dict(model_type='siglip', text_config=tower, vision_config=tower))
        >>> rules[0]
        Rule(source='logit_scale', native=('backbone.clip.logit_scale',), transposed=False)
    """
    return [Rule(key, (CLIP + key,)) for key in build_without_weights(settings).state_dict()]


def counting_buffers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the buffers with the numbers 0, 1, 2, ..., which old versions of ``transformers`` saved."""
    return {key: value for key, value in tensors.items() if COUNTING.fullmatch(key)}
