"""The index of folders of videos."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from uuid import uuid4

from .answers import EVERYTHING, Answer, Filter
from .catalog import Catalog
from .index_folder import CATALOG, check_store, is_leftover
from .index_model import IndexModel
from .index_settings import IndexMismatchError, IndexSettings, read_settings
from .index_update import Track, UpdateReport, lock_index, remove_folder, update_index
from .queries import Query, Term, parse_query
from .segments import FixedWindows, Segmenter, build_segments, describe_segments
from .store_search import Goal, search_by_score, search_by_vector
from .stores import SegmentStore, open_store

MOMENTS = 4  # segments to look for per answer, because the best ones are often of the same video
SHORTLIST = 200  # segments that a head compares exactly at first: docs/search.md tells what longer ones gain
LONGEST = 32  # times as long a shortlist becomes at most


class VideoIndex:
    """Finds moments of the videos of some folders.

    The folder of an index has its settings, a catalog of files, and the store of vectors unless that has an
    address of its own. :func:`mmclip4clip.open_index` opens one together with its model.

    Args:
        folder (Path): The folder of the index.
        settings (IndexSettings): What made it.
        model (IndexModel, optional): Encodes videos and queries; checked by :meth:`use`.

    Examples:
        >>> import mmclip4clip
        >>> index = mmclip4clip.open_index('index', model='epoch_5.pth')  # doctest: +SKIP
        >>> index.update(['videos/']).added  # doctest: +SKIP
        ['/videos/a.mp4']
        >>> index.search('a dog on a skateboard')[0].start  # doctest: +SKIP
        5.0
    """

    def __init__(self, folder: Path, settings: IndexSettings, model: IndexModel | None = None) -> None:
        if not (folder / CATALOG).is_file():
            raise ValueError(f'the index {folder} is incomplete: it has no {CATALOG}')
        self.folder, self.settings, self.catalog = folder, settings, Catalog(folder / CATALOG)
        self._model: IndexModel | None = None
        self._store: SegmentStore | None = None
        if model is not None:
            self.use(model)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        model: IndexModel,
        segments: Segmenter | None = None,
        store: str | None = None,
    ) -> 'VideoIndex':
        """Create an empty index.

        Args:
            folder (str | Path): New or empty folder.
            model (IndexModel): The model.
            segments (Segmenter, optional): How videos are divided, by default :class:`FixedWindows`.
            store (str, optional): Address of the store, see :func:`open_store`; by default the store is in
                the folder.

        Raises:
            FileExistsError: If there is an index, or another file.
            PermissionError: If the folder cannot be written.
            ValueError: If there is no store for such an address.
            StoreError: If the store cannot be reached, or belongs to another index.
        """
        folder = Path(folder)
        if folder.exists() and not (folder.is_dir() and all(map(is_leftover, folder.iterdir()))):
            raise FileExistsError(
                f'{folder} exists and is not an empty folder: choose another one for the index'
            )
        settings = IndexSettings(
            model.identity,
            describe_segments(segments or FixedWindows()),
            store,
            model.features,
            model.file_stamp,
            uuid4().hex,
        )
        folder.mkdir(parents=True, exist_ok=True)
        Catalog(folder / CATALOG).close()
        open_store(store, folder, model.identity.width, settings.identifier).close()
        settings.write(folder)  # last: a folder without it is no index
        return cls(folder, settings, model)

    @classmethod
    def open(cls, folder: str | Path, model: IndexModel | None = None) -> 'VideoIndex':
        """Open an index.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is damaged or incomplete.
            IndexMismatchError: If another model made it.
        """
        return cls(Path(folder), read_settings(Path(folder)), model)

    def use(self, model: IndexModel) -> None:
        """Use a model for queries and updates.

        Raises:
            IndexMismatchError: If another model made the index.
        """
        found = self.settings.model.differences(model.identity)
        if found:
            raise IndexMismatchError(
                f'the index {self.folder} was made by {self.settings.model.name}, not by '
                f'{model.identity.name} (index -> model: {"; ".join(found)}). Use the former, or another '
                'folder for an index of the latter'
            )
        self._model = model

    @property
    def model(self) -> IndexModel:
        """The model.

        Raises:
            RuntimeError: If none was given.
        """
        if self._model is None:
            raise RuntimeError(
                f'the index {self.folder} needs its model, {self.settings.model.name}: open it with '
                'mmclip4clip.open_index'
            )
        return self._model

    @property
    def store(self) -> SegmentStore:
        """The store, which is opened when it is first used.

        Raises:
            StoreError: If it cannot be used, belongs to another index, or is empty and should not be.
        """
        if self._store is None:
            settings = self.settings
            store = open_store(settings.store, self.folder, settings.model.width, settings.identifier)
            self._store = check_store(store, self.catalog, self.folder)
        return self._store

    def __len__(self) -> int:
        return len(self.catalog)

    def unreadable(self) -> dict[str, str]:
        """Return the files that cannot be read, with the reasons."""
        return {file.path: file.reason for file in self.catalog.files() if file.reason is not None}

    def update(
        self, folders: Iterable[str | Path], num_workers: int = 2, track: Track | None = None
    ) -> UpdateReport:
        """Index the new and changed files of folders, and remove files that are gone.

        An update that is interrupted goes on with the next one.

        Args:
            folders (Iterable[str | Path]): Folders, and single video files. Also one of them alone.
            num_workers (int): Processes that decode ahead of the model; 0 decodes in this one.
            track (Callable, optional): Given the encoded files as they come, and their number, returns
                them, and may show the progress.

        Raises:
            FileNotFoundError: If a folder does not exist.
            ValueError: If a folder has no videos.
            IndexInUseError: If another process updates the index.
            StoreError: If the store fails; the update can be repeated.
        """
        if isinstance(folders, (str, Path)):
            folders = [folders]
        with lock_index(self.folder):
            return update_index(
                self.catalog, self.store, self.model, self.segments, folders, num_workers, track
            )

    @property
    def segments(self) -> Segmenter:
        """How videos are divided."""
        return build_segments(self.settings.segments)

    def remove(self, folder: str | Path) -> list[str]:
        """Remove the files of a folder from the index, whether they exist or not, and return their paths."""
        with lock_index(self.folder):
            return remove_folder(self.catalog, self.store, folder)

    def search(
        self,
        query: Query | str,
        top: int = 10,
        where: Filter = EVERYTHING,
        whole: bool = False,
        all_moments: bool = False,
        shortlist: int = SHORTLIST,
    ) -> list[Answer]:
        """Find videos, each with its best moment.

        Args:
            query (Sequence[Term] | str): See :func:`parse_query`. A string counts as a single word of a
                command line: ``'a beach + at night'`` is a text, and ``'"a beach" + "at night"'`` a sum.
            top (int): Number of answers.
            where (Filter): Limits the files.
            whole (bool): Whether to compare whole videos instead of moments.
            all_moments (bool): Whether to return moments of one video separately.
            shortlist (int): For heads that keep more than a vector: number of segments, found by their
                vectors, whose score is computed at first. The number is doubled until twice as many have the
                same answers, to 32 times ``shortlist`` at most.

        Returns:
            list[Answer]: Best first; fewer than ``top`` only if there are fewer.

        Raises:
            ValueError: If the query or ``top`` is invalid.
            TypeError: If the query is neither a string nor a list of :class:`Term`.
            VideoReadError: If a video or image of the query cannot be read.
            StoreError: If the store fails.
        """
        for name, value in dict(top=top, shortlist=shortlist).items():
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise ValueError(f'{name} must be a positive whole number, got {value!r}')
        top, shortlist = int(top), int(shortlist)
        terms = parse_query([query]) if isinstance(query, str) else query
        if not isinstance(terms, Sequence) or not all(isinstance(term, Term) for term in terms):
            raise TypeError(f'a query must be a string or a list of Term, got {query!r:.80}')
        encoded = self.model.encode_query(terms)
        goal = Goal(top, where, whole, all_moments)
        wanted = top if whole or all_moments else MOMENTS * top
        if encoded.texts is not None:
            # Many answers settle late, and features are in memory: no longer ones for them.
            lengths = max(shortlist, wanted), LONGEST * shortlist
            return search_by_score(self.store, self.model, encoded, lengths, goal)
        return search_by_vector(self.store, encoded.vector, wanted, goal)

    def close(self) -> None:
        """Close the catalog and the store."""
        self.catalog.close()
        if self._store is not None:
            self._store.close()
