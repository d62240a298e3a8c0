"""What a run takes from the checkpoint that it loads, before its model and data are built."""

import json
from pathlib import Path

import torch
from mmaction.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from transformers import CLIPConfig, CLIPModel

from ..checkpoint_reading import map_checkpoint
from ..checkpoints.clip_settings import SETTINGS, clip_differences, clip_settings, known_settings
from ..compat import apply_patches
from ..tokenizers.saved_tokenizer import offer_tokenizers

CLIP = 'backbone.clip.'  # how the keys of CLIP's weights begin


def build_runner(cfg: Config, training: bool) -> Runner:
    """Build the runner of a config, whose CLIP and tokenizers may come from the checkpoint that it loads.

    Args:
        cfg (Config): With ``load_from`` and ``resume`` as they shall be; changed in place.
        training (bool): Whether it is for training.

    Raises:
        ValueError: If the checkpoint contradicts the folder ``model.backbone.pretrained``.
        OSError: If the pretrained CLIP is needed and cannot be loaded.
    """
    apply_patches()
    note = use_checkpoint_settings(cfg, training)
    try:
        runner = Runner.from_cfg(cfg)
    except OSError as error:
        if note or not cfg.get('load_from'):
            raise
        raise OSError(
            f'{error}\nThe checkpoint {cfg.load_from} does not stand in for it: it was saved by an earlier '
            'version, or does not hold the whole model. Give model.backbone.pretrained=FOLDER of the CLIP '
            'that it was trained from; to test or resume it, model.backbone.config in place of pretrained '
            'does too: the arguments of transformers.CLIPConfig for that CLIP'
        ) from error
    if note:
        runner.logger.info(note)
    return runner


def use_checkpoint_settings(cfg: Config, training: bool) -> str:
    """Build CLIP by what the checkpoint tells of it instead of loading a pretrained one that it replaces.

    Its tokenizers are offered to transforms whose own cannot be loaded, see :func:`offer_tokenizers`. A
    checkpoint that tells nothing changes nothing.

    Args:
        cfg (Config): With ``load_from``; ``model.backbone`` is changed in place.
        training (bool): Whether the run trains.

    Returns:
        str: What to log, '' if nothing was changed.

    Raises:
        ValueError: If ``model.backbone.pretrained`` is a folder of another CLIP, or what the checkpoint tells
            is none.
    """
    entry, keys = read_entry(cfg.get('load_from'))
    offer_tokenizers(entry.get('tokenizers', {}))
    backbone, settings = cfg.get('model', {}).get('backbone'), entry.get('clip_config')
    if settings is None or not backbone or backbone.get('pretrained') is None:
        return ''
    name, resume = backbone.pretrained, bool(cfg.get('resume'))
    settings = known_settings(settings, f'the checkpoint {cfg.load_from}')
    _check_folder(Path(name), settings, cfg.load_from)
    if not _has_clip(settings, keys) or (training and not resume and not _has_adapter(cfg, keys)):
        return ''
    del backbone['pretrained']
    backbone.config = settings
    if resume:  # where its training started from is in the checkpoint, too
        backbone.pop('init_cfg', None)
    return (
        f'model.backbone is built by the config in {cfg.load_from}, and gets its weights from there: '
        f'pretrained={name!r} is not loaded'
    )


def read_entry(path: object) -> tuple[dict, list[str]]:
    """Read what a checkpoint tells about itself, without its weights and without running anything in it.

    Args:
        path (str | None): A checkpoint. Of one that is no local file, or that cannot be read, nothing is
            returned: loading it will say why.

    Returns:
        tuple[dict, list[str]]: ``meta['mmclip4clip']``, empty if there is none, and the names of the weights.
    """
    if not path or not Path(str(path)).expanduser().is_file():
        return {}, []
    try:
        content = map_checkpoint(Path(str(path)).expanduser())
        entry = dict(content['meta']['mmclip4clip'])
        # Copied, as the file may be replaced while the run goes on.
        entry['tokenizers'] = {
            role: dict(
                name=saved['name'], files={name: data.clone() for name, data in saved['files'].items()}
            )
            for role, saved in entry.get('tokenizers', {}).items()
        }
        return entry, [key.removeprefix('module.') for key in content['state_dict']]
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError):
        return {}, []


def _check_folder(folder: Path, settings: dict, checkpoint: str) -> None:
    """Compare the config of a local folder with the checkpoint's."""
    path = folder / 'config.json'
    if not path.is_file():
        return
    content = json.loads(path.read_text(encoding='utf-8'))
    if content.get('model_type') != 'clip':
        raise ValueError(
            f'model.backbone.pretrained={str(folder)!r} is of model_type='
            f'{content.get("model_type")!r}, the checkpoint {checkpoint} of clip'
        )
    lines = clip_differences(settings, clip_settings(CLIPConfig.from_dict(content)))
    if lines:
        raise ValueError(
            f'model.backbone.pretrained={str(folder)!r} is another CLIP than that of the '
            f'checkpoint {checkpoint} (checkpoint -> folder):\n  ' + '\n  '.join(lines)
        )


def _has_clip(settings: dict, keys: list[str]) -> bool:
    """Tell whether weights of these names make up the whole CLIP."""
    if max(settings[tower]['num_hidden_layers'] for tower in SETTINGS) > len(keys):
        return False
    with torch.device('meta'):  # names alone, without memory or random numbers
        expected = CLIPModel(CLIPConfig(**settings)).state_dict()
    return {CLIP + key for key in expected} <= set(keys)


def _has_adapter(cfg: ConfigDict, keys: list[str]) -> bool:
    """Tell whether weights of these names make up the whole adapter, which would else start from CLIP's."""
    init_default_scope('mmaction')
    with torch.device('meta'):
        adapter = MODELS.build(cfg.model.adapter) if cfg.model.get('adapter') else None
    return adapter is None or {f'adapter.{key}' for key in adapter.state_dict()} <= set(keys)
