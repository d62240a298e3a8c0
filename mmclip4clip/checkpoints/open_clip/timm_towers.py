"""Vision towers of SigLIP in timm, which open_clip builds by their names."""

from typing import Any

SIZES = {  # width, width of the MLP, blocks, heads
    'base': (768, 3072, 12, 12),
    'large': (1024, 4096, 24, 16),
    'so400m': (1152, 4304, 27, 16),
    'giantopt': (1536, 6144, 40, 16),
}
# Sizes of images in pixels by kind of tower; timm 1.0 computes GELU in some exactly, in others by tanh.
EXACT = {'base_patch16': (224, 256, 384, 512), 'large_patch16': (256, 384), 'so400m_patch14': (224, 378, 384)}
TANH = {
    'base_patch32': (256,),
    'large_patch16': (512,),
    'so400m_patch16': (256, 384, 512),
    'giantopt_patch16': (256, 384),
}


def _describe(kind: str, image_size: int, activation: str) -> dict[str, Any]:
    """Return the arguments of :class:`transformers.SiglipVisionConfig` of a tower."""
    name, patch_size = kind.split('_patch')
    width, inner, layers, heads = SIZES[name]
    return dict(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_act=activation,
        layer_norm_eps=1e-6,
        image_size=image_size,
        patch_size=int(patch_size),
    )


TOWERS: dict[str, dict[str, Any]] = {
    f'vit_{kind}_siglip_{size}': _describe(kind, size, activation)
    for kinds, activation in ((EXACT, 'gelu'), (TANH, 'gelu_pytorch_tanh'))
    for kind, sizes in kinds.items()
    for size in sizes
}


def find_tower(vision: dict[str, Any]) -> str:
    """Return the name of the tower with the sizes of a vision tower; its activation may differ.

    Args:
        vision (dict): Arguments of :class:`transformers.SiglipVisionConfig`.

    Raises:
        ValueError: If timm has no such tower; lists those that it has.

    Examples:
        >>> find_tower(TOWERS['vit_base_patch16_siglip_384'])
        'vit_base_patch16_siglip_384'
    """
    for name, tower in TOWERS.items():
        if all(vision[key] == value for key, value in tower.items() if key != 'hidden_act'):
            return name
    sizes = ', '.join(f'{key}={vision[key]}' for key in next(iter(TOWERS.values())) if key != 'hidden_act')
    raise ValueError(
        f'open_clip cannot represent this Siglip: it takes the vision tower from timm, which has none with '
        f'{sizes}, but {", ".join(TOWERS)}'
    )
