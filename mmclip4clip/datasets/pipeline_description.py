"""Describe the preprocessing of a pipeline as plain data, to store in checkpoints and compare."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from ..tokenizers.cleaning import CLEANING
from .dataset_traversal import leaf_datasets
from .frame_shape import find_frame_shape, frame_steps
from .pipeline_steps import find_step
from .transforms import TokenizeCaptions, TokenizeTargets
from .transforms.transform import Transform, TransformList


def pipelines(dataset: Any) -> Iterator[tuple[Any, list]]:
    """Yield the innermost datasets of a dataset, each with its transforms."""
    for leaf in leaf_datasets(dataset):
        yield leaf, list(getattr(getattr(leaf, 'pipeline', None), 'transforms', []))


def describe_pipeline(dataset: Any, transforms: list) -> dict:
    """Describe the settings that determine frames and tokens, as strings, numbers, lists and dicts.

    A dataset of stored features has no pipeline, but the description of the one that they are from.

    Returns:
        dict: ``sampling`` and ``frames``, one dict per transform with its ``type`` and arguments;
        ``num_frames`` and ``size`` of :class:`FrameShape`; ``max_words``, ``caption_mode`` and ``cleaning``
        of the captions; ``decoder_max_words`` if the decoder has its own targets.
    """
    stored = getattr(dataset, 'preprocessing', None)
    if stored is not None:
        return stored
    sampling, changing = frame_steps(transforms)
    shape = find_frame_shape(transforms)
    reads, writes = (find_step(transforms, kind) for kind in (TokenizeCaptions, TokenizeTargets))
    return dict(
        sampling=[describe_step(step) for step in sampling],
        frames=[describe_step(step) for step in changing],
        num_frames=shape.num_frames,
        size=None if shape.size is None else list(shape.size),
        caption_mode=getattr(dataset, 'caption_mode', None),
        cleaning=CLEANING,
        max_words=getattr(reads, 'max_words', None),
        decoder_max_words=getattr(writes, 'max_words', None),
    )


def pipeline_differences(saved: dict, current: dict, alike: bool = True) -> list[str]:
    """List the differences between the pipeline of a checkpoint and the current one.

    Args:
        saved (dict): Output of :func:`describe_pipeline`, possibly of another version.
        current (dict): Output of :func:`describe_pipeline` for the current pipeline.
        alike (bool): Whether both serve the same purpose. If one is for training and the other for
            evaluation, they may sample and crop differently, so only number and size of frames are compared.

    Returns:
        list[str]: Differences such as ``'Resize.interpolation: area -> bicubic'``.
    """
    keys = ['max_words', 'cleaning', *(('caption_mode', 'decoder_max_words') if alike else ())]
    steps = [
        line
        for part in ('sampling', 'frames')
        if alike and part in saved
        for line in _step_differences(saved[part], current[part])
    ]
    keys += [] if steps else ['num_frames', 'size']
    return steps + [
        f'{key}: {saved[key]} -> {current[key]}'
        for key in keys
        if None not in (saved.get(key), current[key]) and saved[key] != current[key]
    ]


def _step_differences(saved: list[dict], current: list[dict]) -> list[str]:
    """List the differences between transforms, matched by name."""
    old, new = _numbered(saved), _numbered(current)
    lines = [f'{_format_step(old[name])} -> none' for name in old if name not in new]
    lines += [f'none -> {_format_step(new[name])}' for name in new if name not in old]
    for name in (name for name in old if name in new):
        lines += [
            f'{name}.{key}: {old[name][key]} -> {new[name][key]}'
            for key in old[name]
            if key in new[name] and old[name][key] != new[name][key]
        ]
    if not lines and list(old) != list(new):
        lines.append(f'{", ".join(old)} -> {", ".join(new)}')
    return lines


def _numbered(steps: list[dict]) -> dict:
    """Map names to transforms; repeated names get a number."""
    named: dict = {}
    for step in steps:
        count = sum(name.split(' ')[0] == step['type'] for name in named)
        named[step['type'] + (f' {count + 1}' if count else '')] = step
    return named


def _format_step(step: dict) -> str:
    return f'{step["type"]}({", ".join(f"{key}={value}" for key, value in step.items() if key != "type")})'


def describe_step(step: Any) -> dict:
    """Describe a transform by those constructor arguments that it stores as attributes."""
    arguments = inspect.signature(type(step).__init__).parameters
    values = {name: _plain_value(getattr(step, name)) for name in arguments if hasattr(step, name)}
    kept = {name: value for name, value in values.items() if value is not ...}
    return dict(type=type(step).__name__, **kept)


def _plain_value(value: Any) -> Any:
    """Convert a value into strings, numbers, lists and dicts; ``...`` if it has another type."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (Compose, TransformList)):
        value = value.transforms
    if isinstance(value, (BaseTransform, Transform)):
        return describe_step(value)
    if isinstance(value, dict):
        parts = {str(key): _plain_value(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part is not ...}
    if isinstance(value, (list, tuple)):
        return [part for part in map(_plain_value, value) if part is not ...]
    return ...
