from typing import Any

import torch

from .families import image_size
from .frame_format import default_format
from .pretrained import Encoder
from .pretrained_folder import settings_config
from .towers import text_embeddings


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
    family, built = settings_config(config)
    model = family.model_class(built)
    return Encoder(family, model, default_format(family, image_size(model.config)[0]))


@torch.no_grad()
def redraw_embeddings(model: Any, text: float = 0.0, vision: float = 0.0) -> None:
    """Draw embeddings from normal distributions of other standard deviations than the family's.

    Args:
        model (PreTrainedModel): The dual encoder.
        text (float): That of token and position embeddings of the text tower; 0 keeps them.
        vision (float): That of position embeddings of the vision tower; 0 keeps them.
    """
    patches = model.vision_model.embeddings
    for std, embeddings in ((text, text_embeddings(model)), (vision, (patches.position_embedding,))):
        for embedding in embeddings:
            if std:
                embedding.weight.normal_(std=std)
