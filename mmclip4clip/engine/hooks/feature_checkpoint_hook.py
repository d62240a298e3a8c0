from typing import Any

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import Tensor

from ...models.backbones.stored_features import StoredFeatureBackbone, digest_of_features
from ...models.weight_digest import digest_encoder
from ..runner_access import unwrapped_model

BACKBONE = 'backbone.'
ENCODER, LOGIT_SCALE = BACKBONE + 'encoder', BACKBONE + 'logit_scale'


@HOOKS.register_module()
class FeatureCheckpointHook(Hook):
    """Load a checkpoint of a whole model into a model of stored features, without its encoder.

    The encoder of the checkpoint must be the one that the features are from, because an adapter fits no
    other. :func:`use_features` adds this hook.

    Args:
        logit_scale_key (str): Name of the logit scale in a checkpoint of a whole model.

    Examples:
        >>> custom_hooks = [dict(type='FeatureCheckpointHook', logit_scale_key='backbone.clip.logit_scale')]
    """

    priority = 'HIGH'  # before the hooks that compare the checkpoint with the model

    def __init__(self, logit_scale_key: str = 'backbone.clip.logit_scale') -> None:
        self.logit_scale_key = logit_scale_key

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the adapter and the logit scale of a checkpoint.

        Raises:
            RuntimeError: If the checkpoint belongs to another encoder. The message names both.
        """
        backbone: Any = unwrapped_model(runner).backbone
        weights = checkpoint.get('state_dict') if isinstance(checkpoint, dict) else None
        if not isinstance(backbone, StoredFeatureBackbone) or not isinstance(weights, dict):
            return  # the other hooks report what is wrong with the checkpoint
        weights = {key.removeprefix('module.'): value for key, value in weights.items()}
        if not any(key.startswith(BACKBONE) for key in weights):
            return
        expected, name = digest_of_features(backbone), runner._load_from or ''
        found, kept = split_encoder(weights, self.logit_scale_key)
        if found != expected:
            raise RuntimeError(
                f'the checkpoint {name} belongs to another encoder (weights {found}) than the one that the '
                f'features are from ({expected}): extract the features with tools/extract_features.py CONFIG '
                f'{name}'
            )
        checkpoint['state_dict'] = {**kept, ENCODER: backbone.encoder.cpu()}
        if ENCODER not in weights:
            print_log(f'the encoder of {name} is not loaded: the features are from it', logger='current')


def split_encoder(weights: dict[str, Tensor], logit_scale_key: str) -> tuple[str, dict[str, Tensor]]:
    """Return the digest of the encoder of a checkpoint, and its other weights.

    Args:
        weights (dict[str, Tensor]): State dict of a whole model, or of a model of stored features.
        logit_scale_key (str): Name of the logit scale of a whole model.

    Returns:
        tuple[str, dict[str, Tensor]]: The digest in hex, and the weights with the names that a model of
        stored features has.
    """
    kept = {key: value for key, value in weights.items() if not key.startswith(BACKBONE)}
    if ENCODER in weights:
        return bytes(weights[ENCODER].tolist()).hex(), {**kept, LOGIT_SCALE: weights[LOGIT_SCALE]}
    tower = {k.removeprefix(BACKBONE): value for k, value in weights.items() if k.startswith(BACKBONE)}
    if logit_scale_key in weights:
        kept[LOGIT_SCALE] = weights[logit_scale_key]
    return digest_encoder(tower, logit_scale_key.removeprefix(BACKBONE)), kept
