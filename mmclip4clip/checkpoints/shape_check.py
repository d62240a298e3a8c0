import torch
from mmaction.registry import MODELS

from ..models import CLIPBackbone
from ..models.adapters.base import BaseAdapter
from .checkpoint import Checkpoint
from .description import adapter_config
from .renaming import check_keys, shorten


def check_shapes(checkpoint: Checkpoint, name: str) -> None:
    """Compare every shape with those of the model whose config the checkpoint is said to fit.

    Args:
        checkpoint (Checkpoint): What was read.
        name (str): What errors call the file.

    Raises:
        ValueError: If the shapes contradict one another, or there are tensors beyond, listing them; or if the
            adapter is none.
    """
    config = adapter_config(checkpoint)
    kind = config.pop('type')
    # Only what is registered: for other names, MODELS.get would import what the file says.
    build = MODELS.module_dict.get(kind)
    if not (isinstance(build, type) and issubclass(build, BaseAdapter)):
        raise ValueError(f'{name} says that its adapter is {kind!r}, which is no registered adapter')
    with torch.device('meta'):  # shapes alone, without memory
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
        raise ValueError(f'{name} holds tensors whose shapes do not fit one another: {shorten(wrong)}')
    check_keys(expected, have, name)
