"""Turn the config of a test into that of an extraction of features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .clip_choice import class_name, typed_dicts


def use_extraction(
    cfg: Config,
    out: Path,
    split: str = 'test',
    parts: Sequence[str] | None = None,
    shard_size: int = 512,
    half: bool = False,
) -> None:
    """Let the test of a config write features instead of metrics.

    Each video of the split is encoded once, with all its captions, by the pipeline of the split. Random
    transforms are drawn once, from the seed of the run, 0 by default.

    Args:
        cfg (Config): Config of a run; changed in place.
        out (Path): Folder of the features; the split is a folder in it.
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        parts (Sequence[str], optional): See :class:`FeatureExtractionLoop`.
        shard_size (int): See :class:`FeatureExtractionLoop`.
        half (bool): See :class:`FeatureExtractionLoop`.

    Raises:
        ValueError: If the config has no such dataset, or one of another class than ``VideoCaptionDataset``.

    Examples:
        >>> dataset = dict(type='VideoCaptionDataset', ann_file='a.json', pipeline=[])
        >>> cfg = Config(dict(train_dataloader=dict(batch_size=2, dataset=dataset)))
        >>> use_extraction(cfg, Path('features'), 'train')
        >>> cfg.test_cfg.out, cfg.test_dataloader.dataset.caption_mode
        ('features/train', 'all')
    """
    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise ValueError(f'the config has no {split}_dataloader to extract')
    if class_name(loader['dataset']) != 'VideoCaptionDataset':
        raise ValueError(
            f'{split}_dataloader.dataset must be a VideoCaptionDataset to extract its features, got '
            f'{class_name(loader["dataset"])}: extract the parts of a wrapped dataset one by one'
        )
    fp16 = (cfg.get(f'{split}_cfg') or {}).get('fp16', False) if split != 'train' else False
    cfg.test_dataloader = dict(
        batch_size=loader['batch_size'],
        num_workers=loader.get('num_workers', 0),
        **{key: loader[key] for key in ('timeout', 'collate_fn', 'pin_memory') if key in loader},
        dataset=_dataset(loader['dataset']),
        sampler=dict(type='DefaultSampler', shuffle=False),  # the loop sets its own order
    )
    cfg.test_cfg = dict(
        type='FeatureExtractionLoop',
        out=str(out / split),
        split=split,
        parts=None if parts is None else list(dict.fromkeys(parts)),
        shard_size=shard_size,
        half=half,
        fp16=fp16,
    )
    cfg.test_evaluator = []
    (cfg.get('default_hooks') or {}).pop('report', None)
    if (cfg.get('randomness') or {}).get('seed') is None:  # a resumed run draws as the first one
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=0)


def _dataset(dataset: dict) -> dict[str, Any]:
    """Return the dataset with each video once."""
    found = dict(dataset, test_mode=True)
    found['caption_mode'] = 'paragraph' if dataset.get('caption_mode') == 'paragraph' else 'all'
    policy = dataset.get('bad_videos')
    if policy == 'replace' or (policy is None and not dataset.get('test_mode')):
        decodes = any(class_name(step) == 'DecodeVideo' for step in typed_dicts(dataset.get('pipeline')))
        found['bad_videos'] = 'report' if decodes else 'error'  # as a training replaces them
    return found
