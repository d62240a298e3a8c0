"""Settings that rebuild an encoder, most of which cannot be derived from its weights."""

from typing import Any

from ..models.backbones.families import FAMILIES, Family, family_of
from ..models.backbones.pretrained_folder import describe_config

TOWERS = ('text_config', 'vision_config')
# The initial draw of weights does not matter for loaded ones; projection_dim is one value for both towers.
UNNEEDED = ('projection_dim', 'initializer_range', 'initializer_factor', 'logit_scale_init_value')
# Settings of CLIP, by tower.
SETTINGS = {
    tower: tuple(key for key in FAMILIES['clip'].keys(tower) if key not in UNNEEDED) for tower in TOWERS
}
# Settings that do not change features: dropout is for training, the ids are for pooling in transformers.
NOT_COMPARED = ('attention_dropout', 'bos_token_id', 'eos_token_id', 'pad_token_id')
KINDS: dict[str, Any] = dict(
    hidden_act=str,
    layer_norm_eps=float,
    attention_dropout=(int, float),
    hidden_dropout_prob=(int, float),
    attention_probs_dropout_prob=(int, float),
    vision_use_head=bool,
)  # the others are integers


def clip_settings(config: Any) -> dict[str, Any]:
    """Return arguments that rebuild an encoder's config, as plain data.

    Args:
        config (PretrainedConfig): Config of an encoder of one of the families.

    Returns:
        dict: The settings by tower, ``projection_dim`` for families that have it, and ``model_type``, unless
        it is CLIP.
    """
    family = FAMILIES[config.model_type]
    values = describe_config(family, config)
    settings = {tower: {key: values[tower][key] for key in _keys(family, tower)} for tower in TOWERS}
    if 'projection_dim' in family.both:
        settings = dict(projection_dim=values['projection_dim'], **settings)
    return settings if family.model_type == 'clip' else dict(model_type=family.model_type, **settings)


def known_settings(settings: dict, name: str) -> dict[str, Any]:
    """Keep only settings that :func:`clip_settings` writes, so that a file can pass no others.

    Args:
        settings (dict): Settings from an untrusted checkpoint.
        name (str): Name of the checkpoint in error messages.

    Raises:
        ValueError: If a setting is missing or has the wrong type.
    """
    try:
        family = family_of(settings.get('model_type', 'clip'), 'clip_config')
        found: dict[str, Any] = {
            tower: {key: settings[tower][key] for key in _keys(family, tower)} for tower in TOWERS
        }
        if 'projection_dim' in family.both:
            found['projection_dim'] = settings['projection_dim']
        for values in (found, *(found[tower] for tower in TOWERS)):
            for key, value in values.items():
                optional = key.endswith('_token_id') or key == 'projection_size'
                if (
                    key not in TOWERS
                    and not isinstance(value, KINDS.get(key, int))
                    and not (value is None and optional)
                ):
                    raise ValueError(f'{key}={value!r}')
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f'{name} has a clip_config that describes no CLIP: {error!r}') from error
    return found if family.model_type == 'clip' else dict(model_type=family.model_type, **found)


def _keys(family: Family, tower: str) -> list[str]:
    return [key for key in family.keys(tower) if key not in UNNEEDED]


def clip_differences(saved: dict, current: dict) -> list[str]:
    """List settings that change features, such as ``'vision_config.num_attention_heads: 12 -> 8'``.

    Args:
        saved (dict): Output of :func:`clip_settings`, from a checkpoint.
        current (dict): Output of :func:`clip_settings`, for the model or folder to compare with.
    """
    pairs: list[tuple[str, Any, Any]] = [
        ('model_type', saved.get('model_type', 'clip'), current.get('model_type', 'clip')),
        *(
            (f'{tower}.{key}', value, current[tower].get(key))
            for tower in TOWERS
            for key, value in saved.get(tower, {}).items()
            if key not in NOT_COMPARED
        ),
        ('projection_dim', saved.get('projection_dim'), current.get('projection_dim')),
    ]
    return [f'{key}: {old} -> {new}' for key, old, new in pairs if None not in (old, new) and old != new]
