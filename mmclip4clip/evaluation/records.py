"""Results of an evaluation: one record per video, and the score matrix of all records."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from .score_rows import ScoreRows
from .unreadable import blank_fields

REQUIRED = ('video_id', 'filename', 'captions')
FEATURES = ('video_features', 'text_features')
ALWAYS = ('video_id', 'filename', 'captions', 'group', 'window')  # in a dump even if they are None
NOT_SCORED = (
    "the data samples have no 'scores': evaluate with val_cfg=dict(type='VideoTextValLoop') and "
    "test_cfg=dict(type='VideoTextTestLoop')"
)


class Scores(NamedTuple):
    """All scores of an evaluation.

    Args:
        similarity (np.ndarray | ComputedScores): Score of each caption for each video, (N, V). Those of a
            large evaluation are not in memory, see :class:`ScoreRows`.
        video_index (np.ndarray): Index of the video of each caption, (N,).
        groups (list[str | None], optional): Group of each video, (V,).
        bank (np.ndarray, optional): Score of each caption of the query bank for each video, (B, V).

    Examples:
        >>> from mmclip4clip.evaluation import retrieval_figures
        >>> scores = Scores(np.array([[.9, .1], [.2, .8]]), np.array([0, 1]), None)
        >>> retrieval_figures(scores)['R1']
        100.0
    """

    similarity: Any
    video_index: np.ndarray
    groups: list[str | None] | None
    bank: np.ndarray | None = None


@dataclass(eq=False)  # a record is itself: arrays have no single answer to ==
class VideoRecord:
    """Evaluated video, with all fields that metrics, dumps, pages and pictures need.

    :func:`score_videos` creates the records. Fields that do not apply are None.

    Args:
        video_id (str): Name of the video in the annotations.
        filename (str): Path of the video.
        captions (list[str]): N_i reference captions.
        group (str, optional): Group of the video, if the annotations have groups.
        window (tuple): Start and end in seconds; None is the start or end of the file.
        video_key, group_key (str, optional): Unique names of video and group in concatenated datasets.
        unreadable (str, optional): Reason why the video could not be read.
        generated (str, optional): Generated caption.
        generated_score (float, optional): Score of the generated caption.
        video_features (dict[str, np.ndarray], optional): Features of the video.
        text_features (dict[str, np.ndarray], optional): Features of the captions, (N_i, ...) each.
        scores (np.ndarray | ScoreRows, optional): Similarity of the captions with all videos, (N_i, V).
            ``numpy.asarray`` gives those that a large evaluation does not keep in memory.
        bank_scores (np.ndarray, optional): Similarity of the query bank's captions with the video, (B,).
        cider (float, optional): CIDEr of the generated caption, set by :class:`VideoCaptionMetric`.

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
    scores: Any = None
    bank_scores: np.ndarray | None = None
    cider: float | None = None

    @classmethod
    def from_fields(cls, source: Mapping) -> 'VideoRecord':
        """Create a record from a data sample or an entry of a dump.

        Args:
            source (Mapping): Scored data sample, a dict with its fields, or a result of :meth:`to_dict`.
                Tensors are converted to numpy arrays, and features in a single array to a dict.

        Raises:
            KeyError: If id, file or captions are missing.
        """
        missing = [key for key in REQUIRED if source.get(key) is None]
        if missing:
            raise KeyError(
                f'an evaluated video needs {", ".join(REQUIRED)}; this one lacks {", ".join(missing)}'
            )
        known = {field.name: source.get(field.name) for field in fields(cls)}
        if known['window'] is None:
            known['window'] = (source.get('start'), source.get('end'))
        for key in FEATURES:
            known[key] = _as_dict(known[key], key)
        known.update(blank_fields(known))
        return cls(**{key: _to_numpy(value) for key, value in known.items()})

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of a dump: fields that apply, with features of a single part as one array."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        if isinstance(held['scores'], ScoreRows):
            held['scores'] = np.asarray(held['scores'])
        for key in FEATURES:
            if held[key] is not None and len(held[key]) == 1:
                (held[key],) = held[key].values()
        return {key: value for key, value in held.items() if key in ALWAYS or value is not None}

    def without_features(self) -> 'VideoRecord':
        """Return the record without features, which need the most memory."""
        return replace(self, video_features=None, text_features=None)

    def keys(self) -> Iterable[str]:
        """Return the keys of the entry in a dump; in earlier versions records were dicts."""
        return self.to_dict().keys()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value by its key in a dump."""
        return self.to_dict().get(key, default)

    def __contains__(self, key: str) -> bool:
        """Return whether the entry in a dump has this key."""
        return key in self.to_dict()

    def __getitem__(self, key: str) -> Any:
        """Return a value by its key in a dump, with a warning; in earlier versions records were dicts."""
        warnings.warn(
            f'record[{key!r}] is record.{key} now: records are VideoRecord', FutureWarning, stacklevel=2
        )
        return self.to_dict()[key]


RecordSource = VideoRecord | Mapping


def as_record(source: RecordSource) -> VideoRecord:
    """Return the record of an evaluated video.

    Args:
        source (VideoRecord | Mapping): A record, a data sample of :class:`VideoTextValLoop` or
            :class:`VideoTextTestLoop`, which has a ``record``, one of another loop, or an entry of a dump.

    Examples:
        >>> as_record(dict(video_id='v1', filename='v1.mp4', captions=['a cat'])).captions
        ['a cat']
    """
    if isinstance(source, VideoRecord):
        return source
    return source.get('record') or VideoRecord.from_fields(source)


def make_record(source: RecordSource) -> VideoRecord:
    """Return the record of a scored video, for retrieval metrics.

    Args:
        source (VideoRecord | Mapping): See :func:`as_record`.

    Raises:
        KeyError: If the video has no scores, because another loop was used.

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
    """Return a name for each record: its video_id, or its video_key if two datasets share the id.

    Raises:
        ValueError: If a video occurs twice.
    """
    videos = [as_record(record) for record in records]
    ids = [video.video_id for video in videos]
    keys = [video.video_key or video.video_id for video in videos]
    ((repeated, count),) = Counter(keys).most_common(1) or [('', 0)]
    if count > 1:
        raise ValueError(
            f'{len(keys) - len(set(keys))} videos occur more than once, such as {repeated!r}: '
            'put all references of a video into one entry of the annotations'
        )
    counts = Counter(ids)
    return [name if counts[name] == 1 else key for name, key in zip(ids, keys)]


def stack_scores(records: Sequence[RecordSource]) -> Scores:
    """Stack the scores of all records into one matrix.

    Args:
        records (Sequence[VideoRecord | Mapping]): Scored videos, or entries of :func:`read_dump`.

    Raises:
        KeyError: If a video has no scores.
        ValueError: If there are no records.

    Examples:
        >>> import numpy as np
        >>> cat = VideoRecord('v1', 'v1.mp4', ['a cat', 'a black cat'], scores=np.eye(2))
        >>> dog = VideoRecord('v2', 'v2.mp4', ['a dog'], scores=np.ones((1, 2)))
        >>> stack_scores([cat, dog]).similarity.shape
        (3, 2)
    """
    videos = [make_record(record) for record in records]
    if not videos:
        raise ValueError('there are no scores to stack: records is empty')
    index = np.repeat(np.arange(len(videos)), [len(v.captions) for v in videos])
    groups = [v.group if v.group_key is None else v.group_key for v in videos]
    banks = [v.bank_scores for v in videos if v.bank_scores is not None]
    rows: list[Any] = [v.scores for v in videos]
    return Scores(
        rows[0].stack(rows) if isinstance(rows[0], ScoreRows) else np.concatenate(rows),
        index,
        groups if any(g is not None for g in groups) else None,
        np.stack(banks, axis=1) if banks else None,
    )


def _as_dict(features: Any, key: str) -> Any:
    """Wrap features in a single array, as in a dump, into a dict."""
    plain = features is None or isinstance(features, Mapping)
    return features if plain else {key.removesuffix('_features'): features}


def _to_numpy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _to_numpy(part) for key, part in value.items()}
    return value.detach().float().cpu().numpy() if isinstance(value, torch.Tensor) else value
