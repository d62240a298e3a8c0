from typing import Any

from .families import family_of, image_size
from .frame_format import default_format
from .pretrained import Encoder
from .pretrained_folder import build_config


def build_random(config: dict[str, Any]) -> Encoder:
    """Build a dual encoder with random weights.

    Args:
        config (dict): Arguments of the config class of a family, and ``model_type``, ``'clip'`` by default.

    Raises:
        ValueError: If the family is unknown.

    Examples:
        >>> tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        >>> encoder = build_random(dict(
        ...     model_type='siglip',
        ...     text_config=dict(tower, vocab_size=99),
        ...     vision_config=dict(tower, image_size=32),
        ... ))
        >>> encoder.frame_format.size, encoder.frame_format.keep_ratio
        (32, False)
    """
    values = dict(config)
    family = family_of(values.pop('model_type', 'clip'), 'model.backbone.config')
    model = family.model_class(build_config(family, values))
    return Encoder(family, model, default_format(family, image_size(model.config)[0]))
