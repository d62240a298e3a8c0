"""Load a model with all that it needs from a checkpoint, or a pretrained dual encoder."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from ..checkpoint_reading import load_checkpoint
from ..compat import apply_patches
from ..engine.hooks.architecture_check_hook import check_weights, read_weights
from ..engine.preprocessing_description import contradictions
from ..models import CLIP4ClipRetriever
from ..models.backbones.families import text_length
from ..models.lora_weights import is_lora
from ..random_states import preserve_random_states
from ..tokenizers.saved_tokenizer import CAPTIONS, DECODER, offer_tokenizers
from .checkpoint_config import config_of
from .clip_choice import use_clip
from .encoder_frames import follow_encoder
from .frame_pipeline import FramePipeline, build_tokenizer, find_pipeline
from .model_list import list_models
from .model_sources import AnyConfig, find_checkpoint, read_any_config
from .presets import find_preset
from .runner_builder import read_entry, use_checkpoint_settings
from .video_text_model import VideoTextModel
from .zero_shot import check_zero_shot

SCOPE = 'mmaction'  # models are built in it, whatever the current one is
# The settings of the paper for videos, as in configs/_base_/datasets/video-captions.py.
ZERO_SHOT_FRAMES = dict(type='SampleAtRate', fps=1, max_frames=12, cut='uniform')


def load(source: str | Path, config: AnyConfig | None = None, device: str | None = None) -> VideoTextModel:
    """Load a model to encode videos and texts, compare them, and write captions.

    A checkpoint of this version contains its config, its encoder's config and its tokenizers, and needs
    nothing else. The config is read as plain data, and nothing in the checkpoint is run.

    Args:
        source (str | Path): A checkpoint of a training. Or a folder, or a name on the Hugging Face hub, of a
            dual encoder such as CLIP or SigLIP: it is used without training, with the mean of the frames
            (zero-shot). Or the name of published weights, see :func:`list_presets`, which are used with their
            config. Or the name of a config, see :func:`list_models`, whose pretrained encoder is used
            without training.
        config (str | Path | Config | dict, optional): The config of the model, or its name; needed for
            checkpoints without one, of earlier versions and of converters. It is run as Python code.
        device (str, optional): Such as ``'cpu'`` or ``'cuda:1'``. By default a GPU if there is one.

    Returns:
        VideoTextModel: The model, in evaluation mode.

    Raises:
        FileNotFoundError: If the checkpoint or the config does not exist.
        CheckpointFileError: If the checkpoint is damaged, or contains more than plain values.
        RuntimeError: If the checkpoint does not fit the config.
        ValueError: If the checkpoint has no config, or names classes that are not registered; if a model
            without a checkpoint has untrained parameters; or if the device cannot be used.
        OSError: If a pretrained encoder or tokenizer cannot be loaded.

    Examples:
        >>> import mmclip4clip
        >>> model = mmclip4clip.load('work_dirs/clip4clip/epoch_5.pth')  # doctest: +SKIP
        >>> model.similarity(['a dog runs'], ['a.mp4', 'b.mp4'])  # doctest: +SKIP
        array([[0.31, 0.12]], dtype=float32)
        >>> mmclip4clip.load('no-such.pth')
        Traceback (most recent call last):
        FileNotFoundError: the checkpoint no-such.pth does not exist
    """
    apply_patches()
    with DefaultScope.overwrite_default_scope(SCOPE):
        path = find_checkpoint(source)
        if path is not None:
            return _load_trained(path, config, device)
        return _load_pretrained(str(source), config, device)


def get_model(
    name: AnyConfig, checkpoint: str | Path | None = None, device: str | None = None
) -> VideoTextModel:
    """Load the model of a config by name, as in other packages of OpenMMLab.

    Args:
        name (str | Path | Config | dict): Name of a config, see :func:`list_models`, its file, or the config.
        checkpoint (str | Path, optional): Checkpoint of a training. Without one, the pretrained encoder of
            the config is used as it is, for heads without parameters of their own.
        device (str, optional): See :func:`load`.

    Raises:
        ValueError: If no config has this name, or see :func:`load`.

    Examples:
        >>> import mmclip4clip
        >>> mmclip4clip.get_model('clip4clip')  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: no config is called 'clip4clip': ...
    """
    if checkpoint is not None:
        return load(checkpoint, name, device)
    apply_patches()
    with DefaultScope.overwrite_default_scope(SCOPE):
        cfg = read_any_config(name)
        label = str(name) if isinstance(name, (str, Path)) else 'the model of the config'
        return _build_zero_shot(cfg, label, device)


def _load_trained(path: Path, config: Any, device: str | None) -> VideoTextModel:
    content = load_checkpoint(path)
    cfg = config_of(content, str(path)) if config is None else read_any_config(config)
    if config is not None:
        use_clip(cfg)
    cfg.load_from, cfg.resume = str(path), False
    entry, _ = read_entry(path)
    loaded = read_weights(str(path), content)
    if not any(map(is_lora, loaded)):
        (cfg.model.get('backbone') or {}).pop('lora', None)  # the converter merged it
    try:
        note = use_checkpoint_settings(cfg, training=False, compare_folder=config is not None)
        names = _offer_by_alias(entry.get('tokenizers'), str(path))
        if DECODER in names and 'tokenizer' in cfg.model:
            cfg.model.tokenizer = names[DECODER]
        follow_encoder(cfg)
        model = _build_model(cfg)
        expected = model.state_dict()
        check_weights(str(path), expected, loaded)
        model.load_state_dict({key: loaded[key] for key in expected if key in loaded}, strict=False)
        _check_normalization(entry.get('preprocessing'), model, str(path))
        if note:
            print_log(note, logger='current', level=logging.DEBUG)
        return _assemble(cfg, model, str(path), device, names.get(CAPTIONS))
    finally:
        offer_tokenizers({})


def _load_pretrained(name: str, config: Any, device: str | None) -> VideoTextModel:
    """Load a dual encoder, or the pretrained encoder of a config, without training."""
    if config is None and name in list_models():
        return _build_zero_shot(read_any_config(name), name, device)
    preset = find_preset(name) if config is None else None
    if preset is not None:
        if preset.format != 'transformers':
            raise ValueError(f'{name} needs to be converted first: {preset.usage()}')
        config = Path(preset.config).stem
    if config is not None:
        cfg = read_any_config(config)
        cfg.clip = name
        return _build_zero_shot(cfg, name, device)
    backbone = dict(type='CLIPBackbone', pretrained=name)
    pipeline = [
        dict(type='DecodeVideo', sampling=ZERO_SHOT_FRAMES),
        dict(type='ResizeCenterCrop'),
        dict(type='FormatShape', input_format='NCHW'),
        dict(type='TokenizeCaptions', tokenizer=name),
    ]
    cfg = Config(
        dict(
            model=dict(type='CLIP4ClipRetriever', backbone=backbone, adapter=dict(type='MeanAdapter')),
            test_dataloader=dict(dataset=dict(pipeline=pipeline)),
        )
    )
    return _build_zero_shot(cfg, name, device, whole_text=True)


def _build_zero_shot(cfg: Config, name: str, device: str | None, whole_text: bool = False) -> VideoTextModel:
    """Build a model without a checkpoint; ``whole_text`` sets captions to the length of the text tower."""
    offer_tokenizers({})
    use_clip(cfg)
    follow_encoder(cfg)
    model = _build_model(cfg)
    check_zero_shot(SimpleNamespace(model=model))
    if whole_text:
        cfg.test_dataloader.dataset.pipeline[-1].max_words = text_length(model.backbone.clip.config)
    return _assemble(cfg, model, name, device)


def _build_model(cfg: Config) -> CLIP4ClipRetriever:
    with preserve_random_states():
        model = MODELS.build(cfg.model)
    if not isinstance(model, CLIP4ClipRetriever):
        raise TypeError(f'expected a CLIP4ClipRetriever or CLIP4ClipCaptioner, got {type(model).__name__}')
    return model


def _assemble(
    cfg: Config, model: CLIP4ClipRetriever, name: str, device: str | None, tokenizer: str | None = None
) -> VideoTextModel:
    pipeline = find_pipeline(cfg)
    prepare = FramePipeline(pipeline, getattr(model.backbone, 'frame_format', None))
    tokenize = build_tokenizer(pipeline, tokenizer)
    fp16 = bool((cfg.get('test_cfg') or {}).get('fp16', False))
    return VideoTextModel(_to_device(model, device or get_device()), prepare, tokenize, name, fp16)


def _offer_by_alias(saved: Any, checkpoint: str) -> dict[str, str]:
    """Offer the tokenizers of a checkpoint by names that no folder has, and return the names by role.

    So they are used even if there is a folder of the name that they had in the training.
    """
    if not isinstance(saved, dict):
        return {}
    names = {role: f'{checkpoint}:{role}' for role in saved if isinstance(saved[role], dict)}
    offer_tokenizers({role: dict(saved[role], name=name) for role, name in names.items()})
    return names


def _check_normalization(saved: Any, model: CLIP4ClipRetriever, checkpoint: str) -> None:
    """Compare mean and standard deviation of the frames with those of the training.

    Raises:
        RuntimeError: If they differ.
    """
    processor = model.data_preprocessor
    current = {key: getattr(processor, key).flatten().tolist() for key in ('mean', 'std')}
    lines = contradictions(saved, current) if isinstance(saved, dict) else []
    if lines:
        raise RuntimeError(
            f'the checkpoint {checkpoint} was trained with another normalization than this config has '
            '(checkpoint -> config):\n  ' + '\n  '.join(lines)
        )


def _to_device(model: CLIP4ClipRetriever, device: str) -> CLIP4ClipRetriever:
    """Move a model to a device.

    Raises:
        ValueError: If this machine, or this torch, does not have it.
    """
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ValueError(f'device {device!r} cannot be used: {str(error).splitlines()[0]}') from error
