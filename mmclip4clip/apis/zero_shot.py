from typing import Any

from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..models import StoredFeatureBackbone


def check_zero_shot(runner: Runner) -> None:
    """Check that a model without a checkpoint has a pretrained CLIP and no untrained parameters, and log it.

    Args:
        runner (Runner): Runner that was built without ``load_from`` and ``resume``.

    Raises:
        ValueError: If CLIP is random, or the adapter or decoder has parameters; lists the first ones.

    Examples:
        >>> from types import SimpleNamespace
        >>> from torch import nn
        >>> check_zero_shot(SimpleNamespace(model=nn.Linear(1, 1)))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: a test without a checkpoint needs a pretrained CLIP, ...
    """
    model = check_pretrained(runner)
    untrained = [name for name, _ in model.named_parameters() if not name.startswith('backbone.')]
    if untrained:
        raise ValueError(
            'a test without a checkpoint needs a model without untrained parameters, such as with '
            f'MeanAdapter; {type(model).__name__} has {len(untrained)}: {", ".join(untrained[:3])}'
            + ', ...' * (len(untrained) > 3)
            + '. Give the checkpoint of a training'
        )
    print_log('zero-shot: the pretrained CLIP is tested without a checkpoint', logger='current')


def check_pretrained(runner: Runner) -> Any:
    """Check that a model without a checkpoint has a pretrained encoder, load that, and return the model.

    Args:
        runner (Runner): Runner that was built without ``load_from`` and ``resume``.

    Raises:
        ValueError: If the encoder is random.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    backbone = getattr(model, 'backbone', None)
    if backbone is not None and getattr(backbone, 'init_cfg', None) is not None:
        backbone.init_weights()
    elif not isinstance(backbone, StoredFeatureBackbone) and getattr(backbone, 'pretrained', None) is None:
        raise ValueError(
            'a test without a checkpoint needs a pretrained CLIP, but model.backbone is random: give the '
            'checkpoint, or clip=FOLDER with --cfg-options'
        )
    return model
