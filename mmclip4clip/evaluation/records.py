"""What an evaluation leaves of each video, and the matrix made of it."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import torch


class Scores(NamedTuple):
    """All scores of an evaluation: similarity (N, V), video_index (N,), and a group or None a video.

    ``bank`` (B, V) are the scores of a bank of other captions with the same
    videos, where the loop was given one.
    """

    similarity: np.ndarray
    video_index: np.ndarray
    groups: list[str | None] | None
    bank: np.ndarray | None = None


def describe_video(sample: dict) -> dict:
    """Keep of an evaluated video what says which it is, and what was generated for it.

    Args:
        sample (dict): An ``ActionDataSample`` as a dict.

    Returns:
        dict: ``video_id``, ``filename``, ``captions`` (list[str]), ``group`` and ``window``
        (start and end in seconds, or None); where the dataset gives them, ``video_key`` and ``group_key``,
        which tell videos and groups of joined datasets apart. From a captioner also ``generated``
        (str) and ``generated_score``. Of a video that could not be read also
        ``unreadable``, the reason; what was generated is then ''.
    """
    record = {key: sample.get(key) for key in ('video_id', 'filename', 'captions', 'group')}
    record['window'] = (sample.get('start'), sample.get('end'))
    optional = ('video_key', 'group_key', 'unreadable', 'generated', 'generated_score')
    record.update((k, sample[k]) for k in optional if k in sample)
    if 'unreadable' in record and 'generated' in record:
        record['generated'] = ''  # the model saw other frames
    return record


def make_record(sample: dict) -> dict:
    """Keep of an evaluated video what metrics, dumps and pictures need.

    Args:
        sample (dict): An ``ActionDataSample`` as a dict, after one of our loops.

    Returns:
        dict: What :func:`describe_video` keeps, and ``video_features``,
        ``text_features`` (N_i, D) and ``scores`` (N_i, V), arrays in numpy, features
        also dicts of arrays, as the adapter keeps them; with a
        query bank also ``bank_scores`` (B,), of its captions with this video. Of a
        video that could not be read features are zero and scores below all others.

    Raises:
        KeyError: If the video was not scored, that is, another loop was used.
    """
    if 'scores' not in sample:
        raise KeyError(
            "the data samples carry no 'scores': evaluate with val_cfg=dict(type="
            "'VideoTextValLoop') and test_cfg=dict(type='VideoTextTestLoop')"
        )
    record = describe_video(sample)
    for key in ('video_features', 'text_features', 'scores'):
        record[key] = _to_numpy(sample[key])
    if 'bank_scores' in sample:
        record['bank_scores'] = _to_numpy(sample['bank_scores'])
    return record


def name_videos(records: list[dict]) -> list[str]:
    """Name the video of each record: by its id, or by its key where two datasets have an id in common.

    Raises:
        ValueError: If a video comes twice.
    """
    ids = [record['video_id'] for record in records]
    keys = [record.get('video_key', record['video_id']) for record in records]
    ((repeated, count),) = Counter(keys).most_common(1) or [(None, 0)]
    if count > 1:
        raise ValueError(
            f'{len(keys) - len(set(keys))} videos come more than once, such as {repeated!r}: '
            'put all references of a video into one entry of the annotations'
        )
    counts = Counter(ids)
    return [name if counts[name] == 1 else key for name, key in zip(ids, keys)]


def stack_scores(records: list[dict]) -> Scores:
    """Put the scores of all videos, in the order of the records, into one matrix."""
    video_index = np.repeat(np.arange(len(records)), [len(r['captions']) for r in records])
    groups = [r.get('group_key', r.get('group')) for r in records]
    banks = [r['bank_scores'] for r in records if 'bank_scores' in r]
    return Scores(
        np.concatenate([r['scores'] for r in records]),
        video_index,
        groups if any(g is not None for g in groups) else None,
        np.stack(banks, axis=1) if banks else None,
    )


def _to_numpy(value):
    if isinstance(value, dict):
        return {key: _to_numpy(part) for key, part in value.items()}
    return value.detach().float().cpu().numpy() if isinstance(value, torch.Tensor) else value
