"""Settings that rebuild a CLIP, most of which cannot be derived from its weights."""

from typing import Any

from transformers import CLIPConfig

from ..models.backbones.pretrained_folder import DESCRIBED

# The initial draw of weights does not matter for loaded ones; projection_dim is one value for both towers.
UNNEEDED = ('projection_dim', 'initializer_range', 'initializer_factor')
SETTINGS = {tower: tuple(key for key in keys if key not in UNNEEDED) for tower, keys in DESCRIBED.items()}
# Settings that do not change features: dropout is for training, the ids are for pooling in transformers.
NOT_COMPARED = ('attention_dropout', 'bos_token_id', 'eos_token_id', 'pad_token_id')


def clip_settings(config: CLIPConfig) -> dict[str, Any]:
    """Return arguments of :class:`transformers.CLIPConfig` that rebuild a CLIP, as plain data."""
    towers = {
        tower: {key: getattr(getattr(config, tower), key) for key in keys} for tower, keys in SETTINGS.items()
    }
    return dict(projection_dim=config.projection_dim, **towers)


def known_settings(settings: dict, name: str) -> dict[str, Any]:
    """Keep only settings that :func:`clip_settings` writes, so that a file can pass no others.

    Args:
        settings (dict): Settings from an untrusted checkpoint.
        name (str): Name of the checkpoint in error messages.

    Raises:
        ValueError: If a setting is missing or has the wrong type.
    """
    try:
        found: dict[str, Any] = {
            tower: {key: settings[tower][key] for key in keys} for tower, keys in SETTINGS.items()
        }
        found['projection_dim'] = settings['projection_dim']
        for values in (found, *(found[tower] for tower in SETTINGS)):
            for key, value in values.items():
                kinds: dict[str, Any] = dict(
                    hidden_act=str, layer_norm_eps=float, attention_dropout=(int, float)
                )
                if (
                    key not in SETTINGS
                    and not isinstance(value, kinds.get(key, int))
                    and not (value is None and key.endswith('_token_id'))
                ):
                    raise ValueError(f'{key}={value!r}')
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f'{name} has a clip_config that describes no CLIP: {error!r}') from error
    return found


def clip_differences(saved: dict, current: dict) -> list[str]:
    """List settings that change features, such as ``'vision_config.num_attention_heads: 12 -> 8'``.

    Args:
        saved (dict): Output of :func:`clip_settings`, from a checkpoint.
        current (dict): Output of :func:`clip_settings`, for the model or folder to compare with.
    """
    pairs = [
        (f'{tower}.{key}', value, current[tower].get(key))
        for tower in SETTINGS
        for key, value in saved.get(tower, {}).items()
        if key not in NOT_COMPARED
    ]
    pairs.append(('projection_dim', saved.get('projection_dim'), current['projection_dim']))
    return [f'{key}: {old} -> {new}' for key, old, new in pairs if None not in (old, new) and old != new]
