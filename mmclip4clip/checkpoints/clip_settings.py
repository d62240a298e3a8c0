"""What a CLIP must be told to be built again, most of which is in none of its weights."""

from typing import Any

from transformers import CLIPConfig

from ..models.backbones.pretrained_folder import DESCRIBED

# How weights were drawn changes none that are there, and the projection's width stands once for both towers.
UNNEEDED = ('projection_dim', 'initializer_range', 'initializer_factor')
SETTINGS = {tower: tuple(key for key in keys if key not in UNNEEDED) for tower, keys in DESCRIBED.items()}
# These may differ without another feature: dropout is for training, the ids for transformers' own pooling.
FREE = ('attention_dropout', 'bos_token_id', 'eos_token_id', 'pad_token_id')


def clip_settings(config: CLIPConfig) -> dict[str, Any]:
    """Return arguments of :class:`transformers.CLIPConfig` that make the same CLIP, as plain data."""
    towers = {
        tower: {key: getattr(getattr(config, tower), key) for key in keys} for tower, keys in SETTINGS.items()
    }
    return dict(projection_dim=config.projection_dim, **towers)


def known_settings(settings: dict, name: str) -> dict[str, Any]:
    """Keep what :func:`clip_settings` writes, so that a file cannot ask ``transformers`` for anything else.

    Args:
        settings (dict): From a checkpoint of anybody's.
        name (str): What errors call it.

    Raises:
        ValueError: If something is missing, or of another kind.
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
    """List what would give other features, as ``'vision_config.num_attention_heads: 12 -> 8'``.

    Args:
        saved (dict): From :func:`clip_settings`, of a checkpoint.
        current (dict): Likewise, of the model or folder that it is compared with.
    """
    pairs = [
        (f'{tower}.{key}', value, current[tower].get(key))
        for tower in SETTINGS
        for key, value in saved.get(tower, {}).items()
        if key not in FREE
    ]
    pairs.append(('projection_dim', saved.get('projection_dim'), current['projection_dim']))
    return [f'{key}: {old} -> {new}' for key, old, new in pairs if None not in (old, new) and old != new]
