import torch
from mmaction.registry import MODELS

from ..models import CLIPBackbone
from ..models.adapters.base import BaseAdapter
from .checkpoint import Checkpoint
from .description import adapter_config
from .renaming import check_keys, join_names


def check_shapes(checkpoint: Checkpoint, name: str) -> None:
    """Compare every shape with that of the model that the checkpoint's config builds.

    Args:
        checkpoint (Checkpoint): The checkpoint.
        name (str): Name of the file in error messages.

    Raises:
        ValueError: If shapes contradict each other, there are unknown tensors, or the adapter is not
            registered.
    """
    config = adapter_config(checkpoint)
    kind = config.pop('type')
    # Registered classes only: for other names, MODELS.get would import modules that the file names.
    build = MODELS.module_dict.get(kind)
    if not (isinstance(build, type) and issubclass(build, BaseAdapter)):
        raise ValueError(f'{name} specifies the adapter {kind!r}, which is not registered')
    with torch.device('meta'):  # only shapes, without memory
        backbone = CLIPBackbone(config=checkpoint.clip_config(), linear_patch=checkpoint.linear_patch)
        adapter = build(**config)
    expected = {
        f'{part}.{key}': value.shape
        for part, module in (('backbone', backbone), ('adapter', adapter))
        for key, value in module.state_dict().items()
    }
    have = {key: value.shape for key, value in checkpoint.state_dict.items()}
    wrong = [
        f'{key} is {tuple(have.get(key, ()))}, expected {tuple(shape)}'
        for key, shape in expected.items()
        if have.get(key) != shape
    ]
    if wrong:
        raise ValueError(f'{name} contains tensors whose shapes do not match each other: {join_names(wrong)}')
    check_keys(expected, have, name)
