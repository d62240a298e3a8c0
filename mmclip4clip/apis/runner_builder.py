"""Use the CLIP config and the tokenizers of a checkpoint before the model and the data are built."""

import json
from pathlib import Path

import torch
from mmaction.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from ..checkpoint_reading import map_checkpoint
from ..checkpoints.clip_settings import TOWERS, clip_differences, clip_settings, known_settings
from ..checkpoints.encoder_keys import build_without_weights
from ..compat import apply_patches
from ..engine.kept_memory import keep_freed_memory
from ..models.adapters.adapter_sizes import adapter_with_sizes
from ..models.backbones.families import FAMILIES, image_size
from ..models.backbones.frame_format import known_format
from ..models.backbones.pretrained import set_sizes
from ..models.backbones.pretrained_folder import settings_config
from ..models.weight_check import rename_layers
from ..tokenizers.saved_tokenizer import offer_tokenizers
from .encoder_frames import follow_encoder
from .runner_choice import runner_class

CLIP = 'backbone.clip.'  # prefix of the keys of CLIP's weights


def build_runner(cfg: Config, training: bool) -> Runner:
    """Build the runner of a config. Its CLIP and tokenizers can come from the checkpoint that it loads.

    Args:
        cfg (Config): Config with final values of ``load_from`` and ``resume``, changed in place.
        training (bool): Whether the runner is for training.

    Raises:
        ValueError: If the checkpoint contradicts the folder ``model.backbone.pretrained``, or the config asks
            for a runner that is not supported.
        OSError: If the pretrained CLIP is needed and cannot be loaded.

    Examples:
        >>> from mmclip4clip.apis import build_runner, load_config
        >>> runner = build_runner(load_config(args), training=True)  # doctest: +SKIP
        >>> runner.train()  # doctest: +SKIP
    """
    apply_patches()
    kind = runner_class(cfg, training)
    note = use_checkpoint_settings(cfg, training)
    follow_encoder(cfg)
    try:
        runner = kind.from_cfg(cfg)
    except OSError as error:
        if note or not cfg.get('load_from'):
            raise
        raise OSError(
            f'{error}\nThe checkpoint {cfg.load_from} cannot replace it: it was saved by an earlier '
            'version, or does not contain the full model. Set model.backbone.pretrained=FOLDER of the CLIP '
            'that it was trained from. To test or resume it, you can also set model.backbone.config instead '
            'of pretrained: the arguments of transformers.CLIPConfig for that CLIP'
        ) from error
    if note:
        runner.logger.info(note)
    if get_device() == 'cpu':
        keep_freed_memory()
    if cfg.get('compile') and not training:
        runner.logger.warning('compile acts on training steps only: this test runs without it')
    return runner


def use_checkpoint_settings(cfg: Config, training: bool, compare_folder: bool = True) -> str:
    """Build CLIP with the config in the checkpoint, instead of loading a pretrained CLIP that it replaces.

    The tokenizers of the checkpoint are used for transforms whose tokenizer cannot be loaded, see
    :func:`offer_tokenizers`. A checkpoint without these settings changes nothing.

    Args:
        cfg (Config): Config with ``load_from``; ``model.backbone`` is changed in place.
        training (bool): Whether the run trains.
        compare_folder (bool): Whether a folder of the name ``model.backbone.pretrained`` must be that of the
            checkpoint's encoder.

    Returns:
        str: Message to log, '' if nothing was changed.

    Raises:
        ValueError: If ``model.backbone.pretrained`` is a folder of another CLIP, or the settings in the
            checkpoint are invalid.
    """
    entry, keys = read_entry(cfg.get('load_from'))
    offer_tokenizers(entry.get('tokenizers', {}))
    backbone, settings = cfg.get('model', {}).get('backbone'), entry.get('clip_config')
    if settings is None or not backbone or backbone.get('pretrained') is None:
        return ''
    name, resume = backbone.pretrained, bool(cfg.get('resume'))
    settings = known_settings(settings, f'the checkpoint {cfg.load_from}')
    if compare_folder:
        _check_folder(Path(name), settings, cfg.load_from, backbone)
    _check_sizes(settings, cfg.load_from, backbone)
    if not _has_clip(settings, keys) or (training and not resume and not _has_adapter(cfg, keys, settings)):
        return ''
    for key in ('pretrained', 'image_size', 'text_length'):
        backbone.pop(key, None)
    backbone.config = settings
    if 'frame_format' in entry and 'frame_format' not in backbone:
        backbone.frame_format = known_format(entry['frame_format'], f'the checkpoint {cfg.load_from}')
    if resume:  # the checkpoint also contains the weights of init_cfg
        backbone.pop('init_cfg', None)
    return (
        f'config and weights of model.backbone come from {cfg.load_from}: pretrained={name!r} is not loaded'
    )


def read_entry(path: object) -> tuple[dict, list[str]]:
    """Read the settings of a checkpoint without its weights, and without executing code in it.

    Args:
        path (str | None): Path of a checkpoint. The result is empty if it is not a local file or cannot be
            read; loading it later reports the error.

    Returns:
        tuple[dict, list[str]]: ``meta['mmclip4clip']``, which may be empty, and the names of the weights.
    """
    if not path or not Path(str(path)).expanduser().is_file():
        return {}, []
    try:
        content = map_checkpoint(Path(str(path)).expanduser())
        entry = dict(content['meta']['mmclip4clip'])
        # Copied, because the file may be replaced during the run.
        entry['tokenizers'] = {
            role: dict(
                name=saved['name'], files={name: data.clone() for name, data in saved['files'].items()}
            )
            for role, saved in entry.get('tokenizers', {}).items()
        }
        return entry, [key.removeprefix('module.') for key in content['state_dict']]
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError):
        return {}, []


def _check_folder(folder: Path, settings: dict, checkpoint: str, backbone: dict) -> None:
    """Compare the config of a local folder with the checkpoint's."""
    path = folder / 'config.json'
    if not path.is_file():
        return
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(content, dict):
            raise ValueError('it is no object')
    except (OSError, ValueError) as error:
        raise ValueError(f'model.backbone.pretrained: {path} cannot be read: {error}') from error
    kind = settings.get('model_type', 'clip')
    if content.get('model_type') != kind:
        raise ValueError(
            f'model.backbone.pretrained={str(folder)!r} has model_type='
            f'{content.get("model_type")!r}, but the checkpoint {checkpoint} has {kind}'
        )
    config = FAMILIES[kind].config_class.from_dict(content)
    set_sizes(FAMILIES[kind], config, backbone.get('image_size'), backbone.get('text_length'))
    lines = clip_differences(settings, clip_settings(config))
    if lines:
        raise ValueError(
            f'model.backbone.pretrained={str(folder)!r} is another CLIP than that of the '
            f'checkpoint {checkpoint} (checkpoint -> folder):\n  ' + '\n  '.join(lines)
        )


def _check_sizes(settings: dict, checkpoint: str, backbone: dict) -> None:
    """Check that the checkpoint has the sizes that the config asks for, which change only ``pretrained``."""
    _, config = settings_config(settings)
    sizes = dict(image_size=image_size(config)[0], text_length=config.text_config.max_position_embeddings)
    for key, size in sizes.items():
        if backbone.get(key) not in (None, size):
            raise ValueError(
                f'model.backbone.{key}={backbone[key]} changes pretrained={backbone["pretrained"]!r}, but '
                f'the encoder comes from the checkpoint {checkpoint}, which was trained with {size}'
            )


def _has_clip(settings: dict, keys: list[str]) -> bool:
    """Return whether these keys include all weights of CLIP."""
    if max(settings[tower]['num_hidden_layers'] for tower in TOWERS) > len(keys):
        return False
    expected = build_without_weights(settings).state_dict()
    found = {key.removeprefix(CLIP): torch.empty(0) for key in keys if key.startswith(CLIP)}
    return set(expected) <= set(rename_layers(expected, found))


def _has_adapter(cfg: ConfigDict, keys: list[str], settings: dict) -> bool:
    """Return whether these keys include all weights of the adapter, which otherwise starts from CLIP's."""
    init_default_scope('mmaction')
    if not cfg.model.get('adapter'):
        return True
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='CLIPBackbone', config=settings))
        adapter = MODELS.build(adapter_with_sizes(cfg.model.adapter, backbone))
    return {f'adapter.{key}' for key in adapter.state_dict()} <= set(keys)
