"""Join an adapter that was trained from stored features with the encoder of these features."""

from pathlib import Path
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from ..atomic_file import atomic_file
from ..checkpoint_reading import load_checkpoint
from ..checkpoints.clip_settings import clip_settings
from ..datasets.transforms import TokenizeCaptions
from ..engine.hooks.feature_checkpoint_hook import BACKBONE, ENCODER, LOGIT_SCALE, split_encoder
from ..tokenizers.saved_tokenizer import CAPTIONS, pack_tokenizer
from .clip_choice import class_name, typed_dicts


def join_head(cfg: Config, head: Path, out: Path, checkpoint: Path | None = None) -> int:
    """Write a checkpoint of a whole model: the encoder of the features, and the adapter trained from them.

    Args:
        cfg (Config): Config of the whole model, the one that the training with ``--features`` was given.
        head (Path): Checkpoint of that training.
        out (Path): File to write.
        checkpoint (Path, optional): Checkpoint that the features were extracted with; None if it was the
            pretrained encoder of the config.

    Returns:
        int: Number of tensors that were written.

    Raises:
        ValueError: If ``head`` was not trained from features, or from those of another encoder.

    Examples:
        >>> cfg = Config.fromfile('config.py')  # doctest: +SKIP
        >>> join_head(cfg, Path('epoch_5.pth'), Path('whole.pth'))  # doctest: +SKIP
        204
        >>> join_head(Config(), Path('no_file.pth'), Path('whole.pth'))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: ...no_file.pth...
    """
    trained = load_checkpoint(head)['state_dict']
    if ENCODER not in trained:
        raise ValueError(f'{head} was not trained from features: it has no {ENCODER}')
    whole, entry = _read_encoder(checkpoint) if checkpoint else _build_encoder(cfg)
    (key,) = [k for k in whole if k.startswith(BACKBONE) and k.endswith('logit_scale')]
    found, expected = split_encoder(whole, key)[0], split_encoder(trained, key)[0]
    if found != expected:
        raise ValueError(
            f'{head} was trained from features of another encoder (weights {expected}) than that of '
            f'{checkpoint or "the config"} ({found})'
        )
    weights = {k: value for k, value in whole.items() if k.startswith(BACKBONE)}
    weights.update({k: value for k, value in trained.items() if not k.startswith(BACKBONE)})
    weights[key] = trained[LOGIT_SCALE].reshape(weights[key].shape)
    meta = dict(cfg=cfg.pretty_text, mmclip4clip=entry)
    with atomic_file(out) as file:
        torch.save(dict(meta=meta, state_dict=weights), file)
    return len(weights)


def _read_encoder(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights of a checkpoint, and what it says of its preprocessing."""
    content = load_checkpoint(path)
    entry = (content.get('meta') or {}).get('mmclip4clip') or {}
    weights = {key.removeprefix('module.'): value for key, value in content['state_dict'].items()}
    return weights, {key: value for key, value in entry.items() if key != 'run'}


def _build_encoder(cfg: Config) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights of the pretrained encoder of a config, and what a checkpoint says of it."""
    init_default_scope('mmaction')
    backbone = MODELS.build(cfg.model.backbone)
    backbone.init_weights()
    entry: dict[str, Any] = {}
    if hasattr(backbone, 'clip'):
        entry['clip_config'] = clip_settings(backbone.clip.config)
    if getattr(backbone, 'frame_format', None) is not None:
        entry['frame_format'] = backbone.frame_format._asdict()
    steps = [s for s in typed_dicts(cfg.get('test_dataloader')) if class_name(s) == 'TokenizeCaptions']
    if steps:
        tokenizer = TokenizeCaptions(**{k: v for k, v in steps[0].items() if k != 'type'}).tokenizer
        entry['tokenizers'] = {CAPTIONS: pack_tokenizer(tokenizer)}
    return {BACKBONE + key: value for key, value in backbone.state_dict().items()}, entry
