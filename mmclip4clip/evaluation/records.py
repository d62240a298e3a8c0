"""What an evaluation leaves of each video, and the matrix made of it."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from .unreadable import blank_fields

FEATURES = ('video_features', 'text_features')
ALWAYS = ('video_id', 'filename', 'captions', 'group', 'window')  # in a dump even where they are None
NOT_SCORED = (
    "the data samples carry no 'scores': evaluate with val_cfg=dict(type='VideoTextValLoop') and "
    "test_cfg=dict(type='VideoTextTestLoop')"
)


class Scores(NamedTuple):
    """All scores of an evaluation: similarity (N, V), video_index (N,), and a group or None a video.

    ``bank`` (B, V) are the scores of a bank of other captions with the same
    videos, where the loop was given one.
    """

    similarity: np.ndarray
    video_index: np.ndarray
    groups: list[str | None] | None
    bank: np.ndarray | None = None


@dataclass
class VideoRecord:
    """An evaluated video: what metrics, dumps, pages and pictures need of it.

    :func:`score_videos` makes it, once. What does not apply is None.

    Args:
        video_id (str): Its name in the annotations.
        filename (str): Its file.
        captions (list[str]): Its N_i reference captions.
        group (str, optional): Its group, where annotations have groups.
        window (tuple): Start and end in seconds, or None for the start and end of the file.
        video_key, group_key (str, optional): These tell videos and groups of joined datasets apart.
        unreadable (str, optional): Why the video could not be read.
        generated (str, optional): The caption that a captioner generated.
        generated_score (float, optional): The score of that caption.
        video_features (dict[str, np.ndarray], optional): Features of the video.
        text_features (dict[str, np.ndarray], optional): Features of its captions, N_i first in each.
        scores (np.ndarray, optional): Similarity of its captions with all videos, (N_i, V).
        bank_scores (np.ndarray, optional): Similarity of the query bank's captions with it, (B,).
        cider (float, optional): CIDEr of the generated caption, from :class:`VideoCaptionMetric`.

    Examples:
        >>> record = VideoRecord('v1', 'v1.mp4', ['a cat'], generated='a dog')
        >>> record.generated, record.unreadable
        ('a dog', None)
    """

    video_id: str
    filename: str
    captions: list[str]
    group: str | None = None
    window: tuple[float | None, float | None] = (None, None)
    video_key: str | None = None
    group_key: str | None = None
    unreadable: str | None = None
    generated: str | None = None
    generated_score: float | None = None
    video_features: dict[str, np.ndarray] | None = None
    text_features: dict[str, np.ndarray] | None = None
    scores: np.ndarray | None = None
    bank_scores: np.ndarray | None = None
    cider: float | None = None

    @classmethod
    def from_fields(cls, source: Mapping) -> 'VideoRecord':
        """Make the record of a data sample, or of an entry of a dump.

        Args:
            source (Mapping): A data sample after scoring, the same as a dict, or what :meth:`to_dict`
                returned. Tensors become numpy arrays, features that are one array a dict.
        """
        known = {field.name: source.get(field.name) for field in fields(cls)}
        if known['window'] is None:
            known['window'] = (source.get('start'), source.get('end'))
        for key in FEATURES:
            known[key] = _as_dict(known[key], key)
        known.update(blank_fields(known))
        return cls(**{key: _to_numpy(value) for key, value in known.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return what a dump holds: fields that apply, and features of one part as one array."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        for key in FEATURES:
            if held[key] is not None and len(held[key]) == 1:
                (held[key],) = held[key].values()
        return {key: value for key, value in held.items() if key in ALWAYS or value is not None}

    def without_features(self) -> 'VideoRecord':
        """Return the record without features, which take more memory than all else."""
        return replace(self, video_features=None, text_features=None)

    def keys(self) -> Iterable[str]:
        """Return the keys of a dump; records were dicts before."""
        return self.to_dict().keys()

    def get(self, key: str, default: Any = None) -> Any:
        """Read an attribute by its key in a dump."""
        return self.to_dict().get(key, default)

    def __contains__(self, key: str) -> bool:
        """Tell whether a dump holds this key."""
        return key in self.to_dict()

    def __getitem__(self, key: str) -> Any:
        """Read an attribute by its key in a dump, with a warning; records were dicts before."""
        warnings.warn(
            f'record[{key!r}] is record.{key} now: records are VideoRecord', FutureWarning, stacklevel=2
        )
        return self.to_dict()[key]


RecordSource = VideoRecord | Mapping


def as_record(source: RecordSource) -> VideoRecord:
    """Return the record of a video that was evaluated.

    Args:
        source (VideoRecord | Mapping): A data sample of one of our loops, which carries its ``record``.
            Likewise a record, one that a dump holds, or a data sample of another loop.
    """
    if isinstance(source, VideoRecord):
        return source
    return source.get('record') or VideoRecord.from_fields(source)


def make_record(source: RecordSource) -> VideoRecord:
    """Return the record of a video with its scores, for metrics of retrieval.

    Args:
        source (VideoRecord | Mapping): As for :func:`as_record`.

    Raises:
        KeyError: If the video was not scored, that is, another loop was used.

    Examples:
        >>> import numpy as np
        >>> sample = dict(video_id='v1', filename='v1.mp4', captions=['a cat'], scores=np.ones((1, 2)))
        >>> make_record(sample).scores
        array([[1., 1.]])
    """
    record = as_record(source)
    if record.scores is None:
        raise KeyError(NOT_SCORED)
    return record


def name_videos(records: Sequence[RecordSource]) -> list[str]:
    """Name the video of each record: by its id, or by its key where two datasets have an id in common.

    Raises:
        ValueError: If a video comes twice.
    """
    videos = [as_record(record) for record in records]
    ids = [video.video_id for video in videos]
    keys = [video.video_key or video.video_id for video in videos]
    ((repeated, count),) = Counter(keys).most_common(1) or [('', 0)]
    if count > 1:
        raise ValueError(
            f'{len(keys) - len(set(keys))} videos come more than once, such as {repeated!r}: '
            'put all references of a video into one entry of the annotations'
        )
    counts = Counter(ids)
    return [name if counts[name] == 1 else key for name, key in zip(ids, keys)]


def stack_scores(records: Sequence[RecordSource]) -> Scores:
    """Put the scores of all videos, in the order of the records, into one matrix.

    Args:
        records (Sequence[VideoRecord | Mapping]): Scored videos, or what :func:`read_dump` returned.

    Raises:
        KeyError: If a video was not scored.
    """
    videos = [make_record(record) for record in records]
    video_index = np.repeat(np.arange(len(videos)), [len(v.captions) for v in videos])
    groups = [v.group if v.group_key is None else v.group_key for v in videos]
    banks = [v.bank_scores for v in videos if v.bank_scores is not None]
    return Scores(
        np.concatenate([v.scores for v in videos]),
        video_index,
        groups if any(g is not None for g in groups) else None,
        np.stack(banks, axis=1) if banks else None,
    )


def _as_dict(features: Any, key: str) -> Any:
    """Put features that are one array, as a dump holds them, into a dict."""
    if features is None or isinstance(features, Mapping):
        return features
    return {key.removesuffix('_features'): features}


def _to_numpy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _to_numpy(part) for key, part in value.items()}
    return value.detach().float().cpu().numpy() if isinstance(value, torch.Tensor) else value
