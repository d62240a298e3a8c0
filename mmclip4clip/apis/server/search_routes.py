"""Routes that ask the index or its model."""

import asyncio
import time
import unicodedata
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter

from ...search import Filter, QueryError, Term
from ...search.answers import Answer
from ...search.catalog import CatalogFile
from ...search.index import VideoIndex
from ...search.queries import parse_texts
from .errors import RequestError
from .indexed_files import IndexSummary, video_id
from .route_errors import ServiceOf, errors, within
from .schemas import (
    Caption,
    Clip,
    EncodeRequest,
    Filters,
    FoundVideo,
    FrameReason,
    Reasons,
    SearchAnswers,
    SearchRequest,
    SimilarRequest,
    Vectors,
    WhyRequest,
    WordReason,
)
from .service import Service

if TYPE_CHECKING:
    from ..search_model import SearchModel

router = APIRouter(tags=['search'])
BLANKS = '\t\n\r'  # control characters that are read as spaces


@router.post('/search', summary='Find videos, and the best moment of each', responses=errors(404, 503))
async def search(request: SearchRequest, service: ServiceOf) -> SearchAnswers:
    """Search by a text, by uploaded images and videos, or by a sum of them.

    Pages of one query belong to one ranking: `offset` continues where the page before ended.
    """
    terms = [] if request.query is None else texts_of(request.query, service)
    for upload in request.uploads:
        if not upload.weight:
            raise RequestError(422, 'a weight must not be 0', 'uploads')
        found = service.uploads.get(upload.token, 'uploads')
        terms.append(Term(upload.weight, found.kind, str(found.path)))
    if not terms:
        raise RequestError(422, 'the query is empty: expected a text or an upload', 'query')
    if len(terms) > service.limits.terms:
        raise RequestError(
            422, f'a query has at most {service.limits.terms} terms, got {len(terms)}', 'query'
        )
    return await answer(service, terms, request)


@router.post(
    '/similar', summary='Find videos that look like one, or like a range of it', responses=errors(404, 503)
)
async def similar(request: SimilarRequest, service: ServiceOf) -> SearchAnswers:
    """Search by a video of the index, which is no answer itself, or by an upload."""
    term, file = await clip_term(request, service)
    return await answer(service, [term], request, file)


@router.post('/encode', summary='Encode texts into vectors', responses=errors(503))
async def encode(request: EncodeRequest, service: ServiceOf) -> Vectors:
    """Return the vectors that searches compare."""
    within(len(request.texts), service.limits.texts, 'texts', 'texts')
    terms = [one_text(text, 'texts') for text in request.texts]
    within(max(map(len, request.texts)), service.limits.query_characters, 'characters in a text', 'texts')

    def run(index: VideoIndex) -> Vectors:
        vectors = [index.model.encode_query([term]).vector.tolist() for term in terms]
        return Vectors(width=len(vectors[0]), vectors=vectors)

    return await service.search_thread(run)


@router.post('/caption', summary='Write a caption for a video', responses=errors(404, 501, 503))
async def caption(request: Clip, service: ServiceOf) -> Caption:
    """Write a caption for a video of the index, a range of it, or an upload; needs a captioner."""
    if not service.can_caption:
        raise RequestError(501, f'the model {service.model_name} writes no captions: it is no captioner')
    term, _ = await clip_term(request, service)
    if term.kind == 'image':
        raise RequestError(422, 'captions are of videos, and the upload is an image', 'token')

    def run(index: VideoIndex) -> Caption:
        assert service.model is not None
        (found,) = service.model.caption([(term.value, term.start, term.end)], show_progress=False)
        return Caption(caption=found)

    return await service.search_thread(run, [term])


@router.post('/why', summary='Tell why a video was found', responses=errors(404, 501, 503))
async def why(request: WhyRequest, service: ServiceOf) -> Reasons:
    """Score each frame of a video or a range of it for a text, and for heads like WTI each word."""
    if not service.explains:
        raise RequestError(501, f'the model {service.model_name} does not explain answers')
    terms = texts_of(request.query, service)
    term, _ = await clip_term(Clip(id=request.id, start=request.start, end=request.end), service)

    def run(index: VideoIndex) -> Reasons:
        from ..reasons import explain_videos  # imports torch, which an exported model does without

        clip = (term.value, term.start, term.end)
        (found,) = explain_videos(cast('SearchModel', index.model), terms, [clip], skip_unreadable=False)
        assert found is not None
        frames = [FrameReason(time=frame.time, score=frame.score) for frame in found.frames]
        words = None
        if found.words is not None:
            words = [WordReason(word=one.word, frame=one.frame, score=one.score) for one in found.words]
        return Reasons(frames=frames, words=words)

    return await service.search_thread(run, [term])


async def answer(
    service: Service, terms: Sequence[Term], request: Filters, hidden: CatalogFile | None = None
) -> SearchAnswers:
    """Search on the thread of the index, and name the answers.

    Args:
        service (Service): The index.
        terms (Sequence[Term]): The query.
        request (Filters): The page, and which videos.
        hidden (CatalogFile, optional): A video that is no answer.
    """
    within(request.top, service.limits.top, 'answers', 'top')
    summary = await service.files.summary()
    options = options_of(request, summary)
    leave_out = None if hidden is None else hidden.path
    key: Hashable = (tuple(terms), leave_out, tuple(sorted(options.items())))

    def run(index: VideoIndex) -> tuple[list[Answer], bool, float]:
        start = time.perf_counter()
        try:
            found = service.rankings.page(key, terms, options, request.offset, request.top, leave_out)
        except ValueError as error:  # terms that cancel each other
            raise QueryError(str(error)) from error
        return *found, time.perf_counter() - start

    found, more, seconds = await service.search_thread(run, terms)
    service.remember(found)
    answers = [describe(one, summary) for one in found]
    return SearchAnswers(answers=answers, offset=request.offset, more=more, seconds=seconds)


def options_of(request: Filters, summary: IndexSummary) -> dict[str, Any]:
    """Check the options of a search, and return them as :meth:`VideoIndex.search` takes them."""
    if request.whole and request.all_moments:
        raise RequestError(422, 'choose one of whole and all_moments', 'whole')
    shortest, longest = request.min_duration, request.max_duration
    if shortest is not None and longest is not None and shortest > longest:
        raise RequestError(422, 'min_duration is longer than max_duration', 'min_duration')
    folder = None if request.folder is None else summary.folders.path_of(request.folder)
    if request.folder is not None and folder is None:
        raise RequestError(422, 'the index has no such folder: expected a name of /info', 'folder')
    where = Filter(folder, shortest, longest)
    return dict(where=where, whole=request.whole, all_moments=request.all_moments)


def describe(found: Answer, summary: IndexSummary) -> FoundVideo:
    """Turn an answer into what clients see, without the path."""
    folder, _, name = found.filename.rpartition('/')
    return FoundVideo(
        id=video_id(found.filename),
        score=float(found.score),
        name=name,
        folder=summary.folders.name_of(folder or '/'),
        start=found.start,
        end=found.end,
        duration=found.duration,
    )


async def clip_term(clip: Clip, service: Service) -> tuple[Term, CatalogFile | None]:
    """Turn a video of the index or an upload into a term, and return its entry in the catalog.

    Raises:
        RequestError: If there is no such video, or not one of ``id`` and ``token``.
    """
    if (clip.id is None) == (clip.token is None):
        raise RequestError(422, 'expected one of id and token', 'id')
    if clip.end is not None and (clip.start or 0) >= clip.end:
        raise RequestError(422, 'the range must end after its start', 'end')
    if clip.token is not None:
        upload = service.uploads.get(clip.token)
        if upload.kind == 'image' and (clip.start is not None or clip.end is not None):
            raise RequestError(422, 'an image has no time range', 'start')
        return Term(1.0, upload.kind, str(upload.path), clip.start, clip.end), None
    assert clip.id is not None
    file = await service.files.find(clip.id)
    if clip.start is not None and clip.start >= file.duration:
        raise RequestError(
            422, f'the range starts after the end of the video at {file.duration:g} s', 'start'
        )
    await asyncio.to_thread((await service.files.open(file)).close)  # it is what was indexed
    return Term(1.0, 'video', file.path, clip.start, clip.end), file


def texts_of(query: str, service: Service) -> list[Term]:
    """Parse a query of texts.

    Raises:
        RequestError: If it is too long, or has control characters.
        QueryError: If it cannot be understood.
    """
    within(len(query), service.limits.query_characters, 'characters', 'query')
    return parse_texts(clean(query, 'query'))


def one_text(text: str, field: str) -> Term:
    """Return a text as a term, whatever operators are in it."""
    text = clean(text, field).strip()
    if not text:
        raise RequestError(422, 'a text is blank', field)
    return Term(1.0, 'text', text)


def clean(text: str, field: str) -> str:
    """Replace line ends and tabs by spaces.

    Raises:
        RequestError: If there are other control characters.
    """
    text = ''.join(' ' if character in BLANKS else character for character in text)
    if any(unicodedata.category(character) in ('Cc', 'Cs') for character in text):
        raise RequestError(422, 'the text has control characters', field)
    return text
