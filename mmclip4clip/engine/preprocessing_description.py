"""Describe the preprocessing of a run as plain data, and compare two descriptions."""

from typing import Any

from ..datasets.pipeline_description import describe_pipeline, pipeline_differences, pipelines
from ..tokenizers.saved_tokenizer import (
    CAPTIONS,
    DECODER,
    describe_tokenizer,
    name_tokenizer,
    tokenizer_differences,
)
from .runner_access import built_datasets, tokenizers_of, unwrapped_model


def describe_preprocessing(runner) -> dict[str, Any]:
    """Describe the tokenizers, mean and std, and training and evaluation pipelines of a run."""
    described: dict[str, Any] = {role: describe_tokenizer(t) for role, t in tokenizers_of(runner).items()}
    processor = getattr(unwrapped_model(runner), 'data_preprocessor', None)
    for key in ('mean', 'std'):
        if getattr(processor, key, None) is not None:
            described[key] = [round(value, 4) for value in getattr(processor, key).flatten().tolist()]
    for stage, dataset in built_datasets(runner).items():
        described[stage] = [describe_pipeline(*pair) for pair in pipelines(dataset)]
    return described


def contradictions(saved: dict, current: dict) -> list[str]:
    """List differences that are always mistakes."""
    lines = []
    for role in (CAPTIONS, DECODER):
        if role in saved and role in current:
            difference = tokenizer_differences(saved[role], current[role])
            names = f'{role}: {name_tokenizer(saved[role])} -> {name_tokenizer(current[role])}'
            lines += [f'{names}: {difference}'] if difference else []
    for key in ('mean', 'std'):
        old, new = saved.get(key), current.get(key)
        if old is None or new is None:
            continue
        if len(old) != len(new) or any(abs(a - b) > 1e-2 for a, b in zip(old, new)):
            lines.append(f'model.data_preprocessor.{key}: {old} -> {new}')
    return lines


def differences(saved: dict, current: dict) -> list[str]:
    """List differences of the pipelines; the training pipeline replaces a missing evaluation pipeline."""
    lines = []
    for stage in ('training', 'evaluation'):
        alike = bool(saved.get(stage))
        before, now = saved.get(stage) or saved.get('training') or [], current.get(stage, [])
        for number, pipeline in enumerate(now if before else []):
            options = [pipeline_differences(old, pipeline, alike) for old in before]
            found = [] if [] in options else options[min(number, len(options) - 1)]
            lines += [line for line in (f'{stage}: {text}' for text in found) if line not in lines]
    return lines
