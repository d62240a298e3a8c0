"""Settings of a CLIP: those that shapes determine, and those that code for OpenAI's CLIP hard-codes."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

# Settings of a CLIP that the shapes of its weights do not determine.
NOT_IN_SHAPES = dict(
    text_config=(
        'num_attention_heads',
        'hidden_act',
        'layer_norm_eps',
        'bos_token_id',
        'eos_token_id',
        'pad_token_id',
    ),
    vision_config=('num_attention_heads', 'hidden_act', 'layer_norm_eps'),
)


def clip_sizes(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the part of the arguments of :class:`transformers.CLIPConfig` that shapes determine.

    Args:
        weights (Mapping[str, Tensor]): State dict of a ``CLIPModel``.

    Raises:
        ValueError: If the vision tower is not for square images.
    """
    shapes = {key: value.shape for key, value in weights.items()}
    patch = shapes['vision_model.embeddings.patch_embedding.weight']
    patches = shapes['vision_model.embeddings.position_embedding.weight'][0] - 1
    side = math.isqrt(patches)
    if side * side != patches:
        raise ValueError(f'the vision tower has positions of {patches} patches, expected a square number')
    vocabulary, width = shapes['text_model.embeddings.token_embedding.weight']
    positions = shapes['text_model.embeddings.position_embedding.weight'][0]
    towers = {
        tower: dict(
            intermediate_size=shapes[f'{tower}_model.encoder.layers.0.mlp.fc1.weight'][0],
            num_hidden_layers=sum(
                key.startswith(f'{tower}_model.') and key.endswith('.mlp.fc1.weight') for key in shapes
            ),
        )
        for tower in ('text', 'vision')
    }
    return dict(
        text_config=dict(
            hidden_size=width, vocab_size=vocabulary, max_position_embeddings=positions, **towers['text']
        ),
        vision_config=dict(
            hidden_size=patch[0],
            num_channels=patch[1],
            patch_size=patch[-1],
            image_size=patch[-1] * side,
            **towers['vision'],
        ),
        projection_dim=shapes['text_projection.weight'][0],
    )


def openai_differences(config: Mapping[str, Any]) -> list[str]:
    """List the settings of a CLIP that differ from those that code for OpenAI's CLIP hard-codes.

    Args:
        config (dict): Arguments of :class:`transformers.CLIPConfig`.

    Returns:
        list[str]: Each setting with both values.
    """
    wanted = {
        f'{tower}.{key}': (config[tower][key], value)
        for tower in NOT_IN_SHAPES
        for key, value in dict(
            num_attention_heads=config[tower]['hidden_size'] // 64,
            hidden_act='quick_gelu',
            layer_norm_eps=1e-5,
            intermediate_size=4 * config[tower]['hidden_size'],
        ).items()
    }
    text = config['text_config']
    if text['eos_token_id'] != 2:  # 2 means "the highest token" in transformers
        wanted['text_config.eos_token_id'] = text['eos_token_id'], text['vocab_size'] - 1
    return [
        f'{key} is {value}, {built_in} is built in'
        for key, (value, built_in) in wanted.items()
        if value != built_in
    ]
