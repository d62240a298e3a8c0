"""Why a video answers a query: the score of each frame, and the best frame of each word."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from ..datasets.video_readers import VideoReadError
from ..models.adapters.base import PooledAdapter
from ..models.adapters.pair_reasons import PairReasons, frames_alone
from ..models.features import move_features, take_features
from ..search import FrameScore, Reasons, Term, WordMatch, video_vectors
from ..search.queries import Query
from ..tokenizers.caption_words import CaptionWord, find_words
from .frame_pipeline import FramePipeline
from .search_model import SearchModel
from .segment_encoder import contextualize_segments
from .segment_parts import PreparedSegments
from .video_inputs import VideoInput, read_videos
from .video_text_model import VideoTextModel


def explain(model: VideoTextModel, query: str | Query, video: Any) -> Reasons:
    """Find out why a video answers a query.

    The frames are those that the model samples from the video, or that an index samples from the segment.
    What the score of a frame and its weight are depends on the head, see :meth:`BaseAdapter.explain`. If
    terms are added and subtracted, scores of frames are the sums of those of the terms, as the score of the
    video is.

    Args:
        model (VideoTextModel): The model.
        query (str | Sequence[Term]): A text, which is never taken for the name of a file, or the terms of a
            query. Images and videos in it are compared by the vectors that find candidates, so its words are
            not known.
        video (Any): A path, or (path, start, end) in seconds, where None is the start or end of the file.

    Returns:
        Reasons: The score and what it is made of.

    Raises:
        VideoReadError: If the video, or one of the query, cannot be read.
        FileNotFoundError: If it does not exist.
        ValueError: If the query or the time range is invalid.
        TypeError: If ``video`` is not a file, or the adapter of the model has no vector per video.

    Examples:
        >>> import mmclip4clip
        >>> model = mmclip4clip.load('epoch_5.pth')  # doctest: +SKIP
        >>> reasons = mmclip4clip.apis.explain(model, 'a dog runs', ('a.mp4', 5, 15))  # doctest: +SKIP
        >>> reasons.best  # doctest: +SKIP
        FrameScore(time=7.0, score=0.31, weight=0.1)
    """
    (reasons,) = explain_videos(SearchModel(model), query, [video], skip_unreadable=False)
    return cast(Reasons, reasons)


def explain_videos(
    model: SearchModel, query: str | Query, videos: Sequence[Any], skip_unreadable: bool = True
) -> Iterator[Reasons | None]:
    """Find out why videos answer a query, which is encoded once.

    Args:
        model (SearchModel): The model of an index, ``index.model``.
        query (str | Sequence[Term]): See :func:`explain`.
        videos (Sequence): Videos as in :func:`explain`.
        skip_unreadable (bool): Whether a video that cannot be read is None, with a warning.

    Yields:
        Reasons | None: The reasons of each video.

    Raises:
        ValueError, TypeError, FileNotFoundError, VideoReadError: See :func:`explain`.
    """
    terms = [Term(1.0, 'text', query)] if isinstance(query, str) else list(query)
    explained = _Query(model, terms)
    for video in videos:
        try:
            yield explained.explain(video)
        except (VideoReadError, FileNotFoundError) as error:
            if not skip_unreadable:
                raise
            print_log(f'no reasons of a video: {error}', 'current', logging.WARNING)
            yield None


class _Query:
    """An encoded query, with what it takes to explain its scores."""

    def __init__(self, model: SearchModel, terms: list[Term]) -> None:
        self.model, self.terms, self.adapter = model, terms, model.adapter
        self.encoded = model.encode_query(terms)

    @torch.no_grad()
    def explain(self, video: Any) -> Reasons:
        prepared = prepare_video(self.model.pipeline, video)
        frames, mask = contextualize_segments(self.model.model.model, prepared, self.model.model.fp16)
        parts = self._explain_terms(frames.to(torch.promote_types(frames.dtype, torch.float32)), mask)
        times = prepared.times[prepared.positions[0]].tolist()
        weights = [None] * len(times) if parts.frame_weights is None else parts.frame_weights.tolist()
        scores = [FrameScore(*row) for row in zip(times, parts.frame_scores.tolist(), weights)]
        return Reasons(float(parts.score), scores, self._match_words(parts))

    def _explain_terms(self, frames: Tensor, mask: Tensor) -> PairReasons:
        """Explain the score of one video (1, T, D), as the sum over terms with their weights."""
        vector = torch.from_numpy(self.encoded.vector).to(frames)[None]
        if isinstance(self.adapter, PooledAdapter):  # the vector of the query counts as a text
            return self.adapter.explain(dict(text=vector), frames, mask)
        if self.encoded.texts is None:  # a query with an image or a video
            alone = video_vectors(self.adapter, self.adapter.pool(*frames_alone(frames, mask)))
            whole = video_vectors(self.adapter, self.adapter.pool(frames, mask))
            return PairReasons((vector @ whole.T)[0, 0], (vector @ alone.T)[0])
        texts = move_features(self.encoded.texts, frames.device)
        parts = [
            self.adapter.explain(take_features(texts, slice(number, number + 1)), frames, mask)
            for number in range(len(self.terms))
        ]
        return _add_up(parts, self.encoded.weights)

    def _match_words(self, parts: PairReasons) -> list[WordMatch] | None:
        """Match the words of all terms with their best frames."""
        if parts.cosines is None or parts.token_weights is None:
            return None
        tokenize = self.model.model.tokenize
        words: list[CaptionWord] = []
        for term in self.terms:
            first = sum(len(word.tokens) for word in words)
            found = find_words(tokenize.tokenizer, term.value, tokenize.max_words)
            words += [word._replace(tokens=[first + token for token in word.tokens]) for word in found]
        cosines, weights = (part.double().cpu().numpy() for part in (parts.cosines, parts.token_weights))
        return [match_word(word, cosines, weights) for word in words]


def match_word(word: CaptionWord, cosines: np.ndarray, weights: np.ndarray) -> WordMatch:
    """Find the best frame of a word, the one with the highest mean cosine of its tokens by their weights.

    Args:
        word (CaptionWord): The word.
        cosines (np.ndarray): Cosine of each token with each frame, (L, T).
        weights (np.ndarray): Weight of each token, all of one sign in a word, (L,).

    Examples:
        >>> match_word(CaptionWord('dogs', [0, 1]), np.array([[0.4, 0.5], [0.3, 0.1]]), np.array([0.1, 0.3]))
        WordMatch(word='dogs', frame=0, score=0.35, weight=0.4)
    """
    tokens, own = cosines[word.tokens], weights[word.tokens]
    weight = float(own.sum())
    shares = own / weight if weight else np.full(len(own), 1 / len(own))
    score = float(shares @ tokens.max(axis=1))
    return WordMatch(word.text, int((shares @ tokens).argmax()), score, weight)


def _add_up(parts: Sequence[PairReasons], weights: Sequence[float]) -> PairReasons:
    """Add up the reasons of the texts of a query with their weights.

    The weights of frames are kept if they are the same for all texts; the tokens are put one after another.
    """
    (first, *others), factors = parts, torch.tensor(weights)
    scores = torch.stack([part.score for part in parts]), torch.stack([part.frame_scores for part in parts])
    factors = factors.to(scores[0])
    frame_weights = first.frame_weights
    if frame_weights is not None and any(
        part.frame_weights is None or not torch.equal(part.frame_weights, frame_weights) for part in others
    ):
        frame_weights = None
    cosines = [part.cosines for part in parts if part.cosines is not None]
    tokens = [f * part.token_weights for f, part in zip(factors, parts) if part.token_weights is not None]
    return PairReasons(
        factors @ scores[0],
        factors @ scores[1],
        frame_weights,
        torch.cat(cosines) if cosines else None,
        torch.cat(tokens) if tokens else None,
    )


def prepare_video(pipeline: FramePipeline, video: Any) -> PreparedSegments:
    """Decode the frames of a video, or of a range of it, as an index does.

    Raises:
        TypeError: If it is not a file.
        FileNotFoundError: If it does not exist.
        ValueError: If the time range is invalid.
        VideoReadError: If it cannot be read, or it has no frame in the range.
    """
    found: list[VideoInput] = read_videos([video])
    if found[0].frames is not None:
        raise TypeError(f'expected a path or (path, start, end), got frames of shape {found[0].frames.shape}')
    name, window = found[0].filename, (found[0].start, found[0].end)
    item = dict(filename=name, video_id=Path(name).name, video_key=name)
    prepared = next(pipeline.prepare_segments(item, lambda filename, duration: [window]), None)
    if prepared is None:
        raise VideoReadError(f'{name} has no frame that can be decoded from {window[0]} to {window[1]} s')
    return prepared
