"""Why a caption of a test finds its video, or others."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..evaluation.functional import ranks_of_videos
from ..evaluation.records import VideoRecord, name_videos, stack_scores
from ..search import Answer, Reasons
from .reasons import explain_videos
from .search_model import SearchModel
from .video_text_model import VideoTextModel

TOLERANCE = 0.01  # between scores of a dump and of its checkpoint, whose test may have had mixed precision


class ExplainedCaption(NamedTuple):
    """A caption of a test, its right video and others, as a contact sheet shows them.

    Args:
        caption (str): The caption.
        answers (list[Answer]): The right video, and then the others.
        reasons (list[Reasons | None]): Reasons of each; None for a video that cannot be read.
        notes (list[str]): Rank, score in the dump, and captions of each.

    Examples:
        >>> ExplainedCaption('a dog', [], [], []).caption
        'a dog'
    """

    caption: str
    answers: list[Answer]
    reasons: list[Reasons | None]
    notes: list[str]


def explain_caption(
    model: VideoTextModel,
    records: Sequence[VideoRecord],
    video: str,
    caption: int | str | None = None,
    against: Sequence[str] | None = None,
    top: int = 3,
    folder: str | Path | None = None,
) -> ExplainedCaption:
    """Explain the scores of a caption of a test for its video and for others.

    Args:
        model (VideoTextModel): The model that was tested.
        records (Sequence[VideoRecord]): Records of the dump.
        video (str): Name of the right video, see :func:`name_videos`.
        caption (int | str, optional): The caption, or its number from 0; by default the one of the worst
            rank.
        against (Sequence[str], optional): Names of other videos; by default the ``top`` best ones.
        top (int): Number of other videos.
        folder (str | Path, optional): Where the files are, if not where they were at the test.

    Returns:
        ExplainedCaption: What :func:`write_contact_sheet` shows.

    Raises:
        ValueError: If there is no such video or caption, or the model gives other scores than the dump has.
    """
    names, scores = name_videos(records), stack_scores(records)
    right = _find(video, names)
    rows = np.flatnonzero(scores.video_index == right)
    ranks = ranks_of_videos(scores.similarity[rows], scores.video_index[rows])
    row = int(rows[_choose_caption(records[right].captions, caption, ranks)])
    order = [int(v) for v in np.argsort(-scores.similarity[row], kind='stable') if v != right]
    others = order[:top] if against is None else [_find(name, names) for name in against]
    text = records[right].captions[row - int(rows[0])]
    answers, notes = [], []
    for index in [right, *others]:
        start, end = records[index].window
        score = float(scores.similarity[row, index])
        answers.append(Answer(score, _locate(records[index], folder), start, end, float('nan')))
        rank = int((scores.similarity[row] >= score).sum())
        kind = 'right video' if index == right else 'wrong video'
        shown = ', '.join(f'“{one}”' for one in records[index].captions[:3])
        notes.append(f'{kind}, rank {rank} of {len(records)}: {shown}')
    moments = [(answer.filename, answer.start, answer.end) for answer in answers]
    reasons = list(explain_videos(SearchModel(model), text, moments))
    for index, answer, found in zip([right, *others], answers, reasons):
        readable = found is not None and records[index].unreadable is None
        if readable and not abs(found.score - answer.score) < TOLERANCE:  # type: ignore[union-attr]
            raise ValueError(
                f'{model.name} gives {names[index]} a score of {found.score:.4f} for {text!r}, and the dump '  # type: ignore[union-attr]
                f'has {answer.score:.4f}: it is of another checkpoint, or of other files'
            )
    return ExplainedCaption(text, answers, reasons, notes)


def _find(name: str, names: Sequence[str]) -> int:
    if name not in names:
        near = [found for found in names if name in found][:3] or names[:3]
        raise ValueError(f'the dump has no video {name!r}, but {len(names)} others, such as {near}')
    return list(names).index(name)


def _choose_caption(captions: Sequence[str], caption: int | str | None, ranks: np.ndarray) -> int:
    """Return the number of a caption among those of its video."""
    if caption is None:
        return int(ranks.argmax())
    if isinstance(caption, int) and 0 <= caption < len(captions):
        return caption
    if caption in captions:
        return list(captions).index(str(caption))
    raise ValueError(f'expected one of the captions {list(captions)} or a number from 0, got {caption!r}')


def _locate(record: VideoRecord, folder: str | Path | None) -> str:
    """Return the path of the file of a record, in another folder if it was moved there."""
    if folder is None:
        return record.filename
    below = Path(folder, record.video_id)  # ids are often paths below the folder of videos
    return str(below if below.is_file() else Path(folder, Path(record.filename).name))
