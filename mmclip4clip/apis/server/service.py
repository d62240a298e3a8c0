"""What the routes of a server share: the index on its thread, files, frames and uploads."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ...datasets import DecodeVideo
from ...datasets.video_readers import VideoReadError
from ...search.answers import Answer
from ...search.index import VideoIndex
from ...search.queries import Term
from .frames import FrameReader
from .indexed_files import IndexedFiles
from .limits import Limits
from .rankings import Rankings
from .uploads import UploadStore
from .worker_pool import WorkerPool

if TYPE_CHECKING:
    from ..video_text_model import VideoTextModel

T = TypeVar('T')


class Service:
    """An index that is open for many requests at once.

    The index and the model belong to one thread, on which searches run one after the other. Look-ups, files
    and frames have other threads, so they do not wait for searches.

    Args:
        folder (str | Path): The folder of the index.
        open_index (Callable): Opens it; called on the thread of the searches.
        limits (Limits): What requests may use.

    Raises:
        FileNotFoundError: If there is no index. See also :func:`mmclip4clip.open_index`.

    Examples:
        >>> import mmclip4clip
        >>> service = Service('index', lambda: mmclip4clip.open_index('index'))  # doctest: +SKIP
        >>> app = create_app(service)  # doctest: +SKIP
    """

    def __init__(
        self, folder: str | Path, open_index: Callable[[], VideoIndex], limits: Limits | None = None
    ) -> None:
        self.folder, self.limits = Path(folder), limits or Limits()
        self._closed = False
        self._pool = WorkerPool('searches', threads=1, waiting=self.limits.waiting)
        self._index = self._pool.call(open_index)
        limit_decoding(getattr(self._index.model, 'model', None), self.limits.decode_seconds)
        settings = self._index.settings
        self.depth = self.limits.depth if settings.features is None else self.limits.compared_depth
        self.model_name = Path(settings.model.name).name
        self.rankings = Rankings(self._index, self.depth)
        self.files = IndexedFiles(self.folder)
        self.frames = FrameReader(self.limits)
        self.uploads = UploadStore(self.limits, self.frames)
        self.upload_pool = WorkerPool('uploads', threads=2, waiting=4)

    @property
    def model(self) -> 'VideoTextModel | None':
        """The model of torch, to be used in :meth:`search_thread` alone; None if it is of another kind."""
        model = cast(Any, self._index.model)
        return model.model if getattr(model, 'explains', False) else None

    @property
    def can_caption(self) -> bool:
        """Whether the model writes captions."""
        return self.model is not None and self.model.is_captioner

    @property
    def explains(self) -> bool:
        """Whether the model tells why it found a video."""
        return self.model is not None

    @property
    def explains_words(self) -> bool:
        """Whether it also tells the best frame of each word."""
        if self.model is None:
            return False
        from ...models.adapters import WTIAdapter  # imports torch, which an exported model does without

        return isinstance(self.model.model.adapter, WTIAdapter)

    async def search_thread(self, function: Callable[[VideoIndex], T], terms: Iterable[Term] = ()) -> T:
        """Call a function with the index, on its thread, after the calls that wait already.

        Args:
            function (Callable): The call.
            terms (Iterable[Term]): What it reads, which may be uploads.

        Raises:
            RequestError: With status 503 if too many wait, and 404 if an upload is gone when its turn comes.
        """
        try:
            return await self._pool.run(function, self._index)
        except (VideoReadError, FileNotFoundError):
            self.uploads.check_there(term.value for term in terms if term.kind != 'text')
            raise

    def remember(self, answers: list[Answer]) -> None:
        """Make the files of answers known by their identifiers."""
        self.files.remember(answer.filename for answer in answers)

    def close(self) -> None:
        """End all work, and delete uploads. Does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        self.upload_pool.close()
        self.frames.close()
        self.uploads.close()
        self._pool.call(self._index.close)
        self._pool.close()
        self.files.close()


def limit_decoding(model: Any, seconds: float) -> None:
    """Shorten the time that a model's decoders may take for a video, because other searches wait for it."""
    transforms = getattr(getattr(model, 'prepare', None), 'transforms', None)
    steps = [*getattr(transforms, 'transforms', ())]  # of torch
    steps.append(getattr(getattr(model, 'frames', None), 'decode', None))  # of an exported model
    for step in steps:
        if isinstance(step, DecodeVideo) and step.time_limit is not None:
            step.time_limit = min(step.time_limit, seconds)
