"""Compare stored features with the config that they replace parts of."""

import logging
import os.path as osp
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmaction.registry import TRANSFORMS
from mmengine.logging import print_log

from ..datasets.annotations import load_annotations, paragraph
from ..datasets.feature_files import FeatureFolder, FeatureMismatchError, FeatureSettings
from ..datasets.pipeline_description import describe_pipeline, pipeline_differences
from .clip_choice import class_name

TOKENIZING = ('TokenizeCaptions', 'TokenizeTargets', 'PackVideoCaptions')  # they need a tokenizer, or nothing


def check_merging(backbone: Mapping, settings: FeatureSettings, path: Path) -> None:
    """Check that the encoder of a config merges the patches that the encoder of the features merged.

    No weight depends on it, so the digest of the weights cannot tell.

    Args:
        backbone (Mapping): ``model.backbone`` of the config.
        settings (FeatureSettings): Settings of the features.
        path (Path): Their folder, for the message.

    Raises:
        FeatureMismatchError: If they differ.

    Examples:
        >>> path = Path('features/test')
        >>> check_merging(dict(type='CLIPBackbone'), read_settings(path), path)  # doctest: +SKIP
    """
    r = (backbone.get('token_merging') or {}).get('r', 0)
    counts, made = r if isinstance(r, (list, tuple)) else [r], settings.token_merging
    alike = list(counts) == made if len(counts) > 1 else set(made) == set(counts)
    if not alike and (any(counts) or made):
        raise FeatureMismatchError(
            f'{path} has features of an encoder that merges {made or "no"} patches, but the config has '
            f'model.backbone.token_merging={backbone.get("token_merging")}: use the same, or extract '
            'them with this config into another folder'
        )


def check_data(dataset: Mapping, settings: FeatureSettings, path: Path) -> None:
    """Compare features with the annotations and the pipeline of the dataset that they replace.

    Annotations that are not there are not compared. A warning lists differences of the pipelines.

    Args:
        dataset (Mapping): Config of the dataset.
        settings (FeatureSettings): Settings of the features.
        path (Path): Their folder.

    Raises:
        ValueError: If the captions or windows of the annotations are other ones.
    """
    if class_name(dataset) == 'VideoCaptionDataset':
        file = osp.join(dataset.get('data_root') or '', str(dataset.get('ann_file') or ''))
        check_annotations(file, settings, path)
    steps = [step for step in dataset.get('pipeline') or () if class_name(step) not in TOKENIZING]
    if not steps:
        return
    described = describe_pipeline(None, [TRANSFORMS.build(dict(step)) for step in steps])
    lines = pipeline_differences(settings.preprocessing, described)
    if lines:
        print_log(
            f'the features in {path} are of frames that the config would prepare differently (features -> '
            'config):\n  ' + '\n  '.join(lines),
            logger='current',
            level=logging.WARNING,
        )


def check_annotations(file: str, settings: FeatureSettings, path: Path) -> None:
    """Check that features are of the captions and windows of annotations, if the file is there.

    Args:
        file (str): The annotations.
        settings (FeatureSettings): Settings of the features.
        path (Path): Their folder.

    Raises:
        ValueError: If they are of others.
    """
    if not osp.isfile(file):
        return
    found: list[Any] = [
        (info['captions'], info.get('start'), info.get('end')) for info in FeatureFolder(path).infos
    ]
    expected = [
        (
            [paragraph(entry['captions'], file)]
            if settings.caption_mode == 'paragraph'
            else entry['captions'],
            entry.get('start'),
            entry.get('end'),
        )
        for entry in load_annotations(file, absolute=True)
    ]
    if found != expected:
        others = sum(one != other for one, other in zip(found, expected))
        raise ValueError(
            f'{path} was extracted from other annotations than {file}: it has {len(found)} videos, the file '
            f'{len(expected)}, and {others} in the same place have other captions or windows. Extract the '
            'features again, into another folder'
        )
