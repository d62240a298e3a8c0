import torch
from mmaction.registry import MODELS

from ..models import CLIPBackbone
from .checkpoint import Checkpoint
from .description import adapter_config
from .renaming import shorten


def check_shapes(checkpoint: Checkpoint, name: str) -> None:
    """Compare every shape with those of the model whose config the checkpoint is said to fit.

    Args:
        checkpoint (Checkpoint): What was read.
        name (str): What errors call the file.

    Raises:
        ValueError: If the shapes contradict one another, listing them.
    """
    config = adapter_config(checkpoint)
    build = MODELS.get(config.pop('type'))
    with torch.device('meta'):  # shapes alone, without memory
        backbone = CLIPBackbone(config=checkpoint.clip_config(), linear_patch=checkpoint.linear_patch)
        adapter = build(**config)
    expected = {f'{part}.{key}': value.shape
                for part, module in (('backbone', backbone), ('adapter', adapter))
                for key, value in module.state_dict().items()}
    have = {key: value.shape for key, value in checkpoint.state_dict.items()}
    wrong = [f'{key} is {tuple(have.get(key, ()))}, expected {tuple(shape)}'
             for key, shape in expected.items() if have.get(key) != shape]
    if wrong:
        raise ValueError(f'{name} holds tensors whose shapes do not fit one another: {shorten(wrong)}')
