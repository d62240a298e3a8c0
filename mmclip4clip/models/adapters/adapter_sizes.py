import inspect
from typing import Any

from mmaction.registry import MODELS
from torch import nn

from ..backbones.towers import text_embeddings, tower_blocks
from .sequence_transformer import fits

CLIP_POSITIONS = 77  # text positions of CLIP, which default numbers of frames leave room in


def adapter_with_sizes(adapter: dict, backbone: nn.Module) -> dict[str, Any]:
    """Add the sizes to an adapter's config that follow from the backbone, where the config has none.

    ``width`` is the backbone's. If the adapter starts from the blocks of the text tower, their number of
    heads, the width of their feed-forward layers and, as an upper bound of ``max_frames``, their positions
    follow too.

    Args:
        adapter (dict): Config of an adapter.
        backbone (nn.Module): The backbone of the model.

    Returns:
        dict: The config of an adapter that fits.

    Examples:
        >>> from mmclip4clip.models import CLIPBackbone
        >>> tower = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=1, num_attention_heads=2)
        >>> backbone = CLIPBackbone(config=dict(
        ...     text_config=tower, vision_config=dict(tower, image_size=32), projection_dim=32
        ... ))
        >>> sizes = adapter_with_sizes(dict(type='SeqTransformerAdapter', num_layers=1), backbone)
        >>> sizes['width'], sizes['num_heads'], sizes['intermediate_size']
        (32, 2, 80)
    """
    kind = adapter.get('type')
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if not inspect.isclass(found):
        return adapter  # building it reports the error
    known = inspect.signature(found).parameters
    sizes: dict[str, Any] = {}
    if 'width' in known:
        sizes['width'] = backbone.width
    if 'start' in known and adapter.get('start', known['start'].default) == 'clip_text':
        sizes.update(_tower_sizes(adapter.get('width') or sizes.get('width'), known, backbone))
    return {**{key: value for key, value in sizes.items() if key in known}, **_given(adapter)}


def _given(adapter: dict) -> dict:
    return {key: value for key, value in adapter.items() if not (key == 'width' and value is None)}


def _tower_sizes(width: Any, known: Any, backbone: nn.Module) -> dict[str, int]:
    """Return the sizes of the text tower's blocks, if they fit an adapter of this width."""
    clip: Any = getattr(backbone, 'clip', None)
    if clip is None:
        return {}
    text, most = clip.config.text_config, known['max_frames'].default
    if text.hidden_size != width or not fits(tower_blocks(clip, 'text')[0]):
        return {}
    free = len(text_embeddings(clip)[1].weight) - (CLIP_POSITIONS - most)
    return dict(
        num_heads=text.num_attention_heads,
        intermediate_size=text.intermediate_size,
        max_frames=min(most, free),
    )
