from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


def check_zero_shot(runner: Runner) -> None:
    """Check that a model without a checkpoint is a pretrained CLIP and nothing untrained, and log it.

    Args:
        runner (Runner): Built with neither ``load_from`` nor ``resume``.

    Raises:
        ValueError: If CLIP is random, or the adapter or decoder has parameters; names the first ones.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    backbone = getattr(model, 'backbone', None)
    if backbone is not None and getattr(backbone, 'init_cfg', None) is not None:
        backbone.init_weights()
    elif getattr(backbone, 'pretrained', None) is None:
        raise ValueError(
            'a test without a checkpoint needs a pretrained CLIP, and model.backbone is random: give the '
            'checkpoint, or clip=FOLDER with --cfg-options'
        )
    untrained = [name for name, _ in model.named_parameters() if not name.startswith('backbone.')]
    if untrained:
        raise ValueError(
            'a test without a checkpoint needs a model without untrained parameters, such as with '
            f'MeanAdapter; {type(model).__name__} has {len(untrained)}: {", ".join(untrained[:3])}'
            + ', ...' * (len(untrained) > 3)
            + '. Give the checkpoint of a training'
        )
    print_log('zero-shot: the pretrained CLIP is tested without a checkpoint', logger='current')
