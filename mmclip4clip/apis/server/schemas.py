"""What requests and answers contain."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from .limits import Limits

Time = Annotated[float, Field(ge=0, allow_inf_nan=False, le=1e9, description='In seconds.')]
Token = Annotated[str, Field(min_length=1, max_length=100, description='Of an upload.')]
VideoId = Annotated[str, Field(min_length=1, max_length=100, description='Of a video.')]


class Strict(BaseModel):
    """A request; unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra='forbid', strict=True)


class Filters(Strict):
    """How many answers to return, and of which videos."""

    top: int = Field(10, ge=1, le=Limits.top, description='Number of answers of the page.')
    offset: int = Field(0, ge=0, le=Limits.depth, description='Number of answers before the page.')
    whole: bool = Field(False, description='Compare whole videos instead of moments.')
    all_moments: bool = Field(False, description='List several moments of a video instead of its best one.')
    folder: str | None = Field(
        None, max_length=4096, description='Only videos in this folder and below; a name of `/info`.'
    )
    min_duration: Time | None = Field(None, description='Only videos of this duration or longer.')
    max_duration: Time | None = Field(None, description='Only videos of this duration or shorter.')


class WeightedUpload(Strict):
    """An uploaded image or video as a term of a query."""

    token: Token
    weight: float = Field(1.0, ge=-1000, le=1000, description='Factor of its vector, not 0.')


class SearchRequest(Filters):
    """A query: a text, uploads, or a sum of them."""

    query: str | None = Field(
        None,
        max_length=Limits.query_characters,
        description='A text, or a sum such as `"a beach" + "at night" - 0.5*"a dog"`. Names of files are '
        'texts here.',
    )
    uploads: list[WeightedUpload] = Field(default_factory=list, max_length=Limits.terms)


class Clip(Strict):
    """A video of the index or an upload, and optionally a range of it."""

    id: VideoId | None = None
    token: Token | None = None
    start: Time | None = Field(None, description='Start of the range; the start of the video by default.')
    end: Time | None = Field(None, description='End of the range; the end of the video by default.')


class SimilarRequest(Clip, Filters):
    """A video, and which others to compare with it."""


class EncodeRequest(Strict):
    """Texts to encode."""

    texts: list[Annotated[str, Field(min_length=1, max_length=Limits.query_characters)]] = Field(
        min_length=1, max_length=Limits.texts
    )


class WhyRequest(Strict):
    """A query and a video that it found."""

    query: str = Field(max_length=Limits.query_characters, description='A text.')
    id: VideoId
    start: Time | None = None
    end: Time | None = None


class FoundVideo(BaseModel):
    """A video that a search found, and its best moment."""

    id: str
    score: float = Field(description='Higher is better.')
    name: str = Field(description='Name of the file.')
    folder: str = Field(description='Its folder, as `/info` names it.')
    start: float | None = Field(description='Start of the moment in seconds; null for a whole video.')
    end: float | None = Field(description='End of the moment in seconds; null for a whole video.')
    duration: float = Field(description='Of the video in seconds.')


class SearchAnswers(BaseModel):
    """A page of answers, best first."""

    answers: list[FoundVideo]
    offset: int = Field(description='Number of answers before the page.')
    more: bool = Field(description='Whether there is another page.')
    seconds: float = Field(description='Time of the search, without the time it waited for others.')


class Caption(BaseModel):
    """A generated caption."""

    caption: str


class Vectors(BaseModel):
    """Vectors of unit length, one per text."""

    width: int
    vectors: list[list[float]]


class StoredUpload(BaseModel):
    """An upload that the server keeps for a while."""

    token: str = Field(description='Names it in requests.')
    kind: str = Field(description='`image` or `video`.')
    expires: float = Field(description='When it is deleted, in seconds since 1970.')


class FrameReason(BaseModel):
    """A frame and how well it matches the query."""

    time: float = Field(description='In seconds.')
    score: float


class WordReason(BaseModel):
    """A word of the query, and the frame that matches it best."""

    word: str
    frame: int = Field(description='Position in `frames`.')
    score: float


class Reasons(BaseModel):
    """Why a video was found."""

    frames: list[FrameReason]
    words: list[WordReason] | None = Field(description='Only of heads that compare words.')


class ServerLimits(BaseModel):
    """Limits that clients should know."""

    query_characters: int
    terms: int
    texts: int
    top: int
    depth: int = Field(description='Number of the last answer that pages reach.')
    upload_bytes: int
    upload_seconds: int
    strip_frames: int
    height: int


class Info(BaseModel):
    """The index and the server."""

    name: str = Field(description='Of the index.')
    model: str
    videos: int
    segments: int
    can_caption: bool
    can_explain_words: bool
    folders: list[str] = Field(description='Names for the filter `folder`.')
    limits: ServerLimits


class ErrorMessage(BaseModel):
    """What was expected, and what came."""

    message: str
    field: str | None = Field(None, description='The argument.')


class Error(BaseModel):
    """A refused request."""

    error: ErrorMessage
