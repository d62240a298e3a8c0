"""Train and test from the features that tools/extract_features.py has written, instead of videos."""

import inspect
import logging
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from ..datasets.feature_files import FeatureMismatchError, FeatureSettings, read_settings
from ..models.adapters.adapter_sizes import adapter_with_sizes
from .clip_choice import class_name
from .feature_checks import check_annotations, check_data, check_merging
from .runner_builder import read_entry

STAGES = ('train', 'val', 'test')


def use_features(cfg: Config, folder: str | Path, training: bool) -> None:
    """Replace the encoder and the videos of a config by stored features.

    ``train_dataloader`` reads ``FOLDER/train``, the others likewise, or the split whose annotation file is
    the same. A query bank takes its captions from ``FOLDER/train``. The loaders keep their batch size and
    sampler. No picture of videos is drawn.

    Args:
        cfg (Config): Config of a run, with ``load_from`` and ``resume`` set; changed in place.
        folder (str | Path): The ``--out`` of tools/extract_features.py.
        training (bool): Whether the run trains.

    Raises:
        FileNotFoundError: If the features of a split are missing.
        FeatureMismatchError: If the splits were encoded by different encoders, or by one that merges other
            patches than that of the config.
        ValueError: If the model writes captions, or a dataset or the query bank does not fit the features.

    Examples:
        >>> cfg = Config.fromfile('config.py')  # doctest: +SKIP
        >>> use_features(cfg, 'work_dirs/features', training=False)  # doctest: +SKIP
        >>> cfg.model.backbone.type  # doctest: +SKIP
        'StoredFeatureBackbone'
        >>> captioner = Config(dict(model=dict(type='CLIP4ClipCaptioner')))
        >>> use_features(captioner, 'features', training=False)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: --features has no captions to write: model.type=CLIP4ClipCaptioner needs videos. ...
    """
    init_default_scope('mmaction')
    if cfg.model.get('decoder') or class_name(cfg.model) == 'CLIP4ClipCaptioner':
        raise ValueError(
            f'--features has no captions to write: model.type={class_name(cfg.model)} needs videos. Use the '
            'retrieval config of the same adapter'
        )
    per_token = bool(getattr(MODELS.get(cfg.model.adapter.type), 'uses_tokens', False))
    stages = [stage for stage in (STAGES[:2] if training else STAGES[2:]) if cfg.get(f'{stage}_dataloader')]
    found: dict[str, FeatureSettings] = {}
    for stage in stages:
        loader = cfg[f'{stage}_dataloader']
        path = find_split(Path(folder), stage, loader.dataset)
        found[stage] = read_settings(path)
        check_merging(cfg.model.backbone, found[stage], path)
        check_data(loader.dataset, found[stage], path)
        loader.dataset = _dataset(loader.dataset, path, per_token)
        _use_bank(cfg, stage, Path(folder), per_token)
    first = found[stages[0]]
    _check_same(found, Path(folder))
    _use_model(cfg, first, training)
    cfg.custom_hooks = [
        *(cfg.get('custom_hooks') or []),
        dict(type='FeatureCheckpointHook', logit_scale_key=first.logit_scale_key),
    ]
    report = (cfg.get('default_hooks') or {}).get('report')
    if report and report.get('gallery', 8) is not None:
        report['gallery'] = 0  # it would read frames of videos
    print_log(f'frames and captions are read from {folder}: no video is decoded', logger='current')


def find_split(folder: Path, stage: str, dataset: dict) -> Path:
    """Return the folder of the features that replace a dataset.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is of another annotation file.
    """
    name = Path(str(dataset.get('ann_file', ''))).name
    others = [path.parent for path in sorted(folder.glob('*/features.json')) if path.parent.name != stage]
    if not (folder / stage / 'features.json').is_file():
        same = [path for path in others if read_settings(path).ann_file == name]
        if same:
            return same[0]
    settings = read_settings(folder / stage)
    if name and settings.ann_file != name:
        raise ValueError(
            f'{folder / stage} has the features of {settings.ann_file}, but ann_file of the {stage} data is '
            f'{name}: extract them with this config into another folder'
        )
    return folder / stage


def _dataset(dataset: dict, path: Path, per_token: bool) -> dict[str, Any]:
    kept = {key: dataset[key] for key in ('caption_mode', 'test_mode') if key in dataset}
    return dict(type='FeatureDataset', folder=str(path), per_token=per_token, **kept)


def _use_bank(cfg: Config, stage: str, folder: Path, per_token: bool) -> None:
    """Let the query bank of a loop take its captions from the features of the training split."""
    bank = (cfg.get(f'{stage}_cfg') or {}).get('query_bank')
    if not bank:
        return
    path = find_split(folder, 'train', bank)
    check_annotations(str(bank.get('ann_file') or ''), read_settings(path), path)
    for key in ('tokenizer', 'max_words'):
        bank.pop(key, None)
    bank.update(features=str(path), per_token=per_token)


def _check_same(found: dict[str, FeatureSettings], folder: Path) -> None:
    encoders = {stage: settings.encoder for stage, settings in found.items()}
    if len(set(encoders.values())) > 1:
        raise FeatureMismatchError(
            f'the features in {folder} are of different encoders: '
            + ', '.join(f'{stage} {encoder}' for stage, encoder in encoders.items())
            + '. Extract all splits with one checkpoint'
        )


def _use_model(cfg: Config, settings: FeatureSettings, training: bool) -> None:
    """Replace the encoder; an adapter that starts from its text tower gets it for its initialization."""
    model, adapter = cfg.model, cfg.model.adapter
    kind = MODELS.get(adapter.type)
    arguments = inspect.signature(kind).parameters
    from_clip = 'start' in arguments and adapter.get('start', arguments['start'].default) == 'clip_text'
    start = None
    if from_clip:
        model.adapter = adapter = _with_sizes(adapter, settings)
        if training and not _has_adapter(cfg):
            start = dict(model.backbone)
            if settings.checkpoint:
                start['init_cfg'] = dict(type='Pretrained', checkpoint=settings.checkpoint)
        else:
            adapter['start'] = 'random'  # its weights are loaded
    model.backbone = dict(
        type='StoredFeatureBackbone',
        width=settings.width,
        encoder=settings.encoder,
        logit_scale=settings.logit_scale,
        max_logit_scale=settings.max_logit_scale,
        start=start,
    )
    model.data_preprocessor = dict(type='FeaturePreprocessor')
    if settings.dtype == 'float16':
        print_log(
            'the features are in half precision, so figures may differ slightly from those of videos',
            logger='current',
            level=logging.WARNING,
        )


def _with_sizes(adapter: dict, settings: FeatureSettings) -> dict:
    """Add the sizes that follow from the encoder's text tower, whose weights are not loaded."""
    if settings.clip_config is None:
        return dict(adapter)
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='CLIPBackbone', config=dict(settings.clip_config)))
        return dict(adapter_with_sizes(dict(adapter), backbone))


def _has_adapter(cfg: Config) -> bool:
    """Return whether a checkpoint replaces the initial weights of the adapter."""
    return bool(cfg.get('resume')) or any(
        k.startswith('adapter.') for k in read_entry(cfg.get('load_from'))[1]
    )
