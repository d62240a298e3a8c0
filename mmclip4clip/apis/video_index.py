"""Open the index of a folder of videos together with its model."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from ..search.index import VideoIndex
from ..search.index_settings import IndexSettings, read_settings
from ..search.segments import Segmenter
from .index_encoder import IndexEncoder, stamp_model
from .model_choice import load
from .onnx_model import OnnxVideoTextModel
from .onnx_search_model import OnnxSearchModel

if TYPE_CHECKING:
    from .video_text_model import VideoTextModel

AnyModel: TypeAlias = 'str | Path | VideoTextModel | OnnxVideoTextModel'
VARIABLE = 'MMCLIP4CLIP_INDEX'


def default_index() -> Path:
    """Return the folder of the index if none is given.

    ``$MMCLIP4CLIP_INDEX``, or ``mmclip4clip/index`` in ``$XDG_DATA_HOME``, by default ``~/.local/share``.
    """
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    data = os.environ.get('XDG_DATA_HOME') or Path.home() / '.local/share'
    return Path(data) / 'mmclip4clip' / 'index'


def open_index(
    folder: str | Path | None = None,
    model: 'AnyModel | None' = None,
    device: str | None = None,
) -> VideoIndex:
    """Open an index, to search it or to update it.

    Args:
        folder (str | Path, optional): The folder of the index, by default :func:`default_index`.
        model (AnyModel, optional): The model, or what :func:`load` reads it from. By default the one that
            made the index.
        device (str, optional): See :func:`load`.

    Raises:
        FileNotFoundError: If there is no index, or its model is not there any more.
        IndexMismatchError: If another model made the index.
        ValueError: If the index is damaged or incomplete; see also :func:`load`.

    Examples:
        >>> import mmclip4clip
        >>> index = mmclip4clip.open_index('index')  # doctest: +SKIP
        >>> index.search('a dog on a skateboard')[0].filename  # doctest: +SKIP
        '/videos/dog.mp4'
    """
    folder = default_index() if folder is None else Path(folder)
    settings = read_settings(folder)
    if model is None:
        name = settings.model.name
        try:
            found = build_search_model(name, device, settings)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'the index {folder} was made by {name}, which is not there any more: give its present path '
                f'as model, with --model ({error})'
            ) from error
    else:
        found = build_search_model(model, device, settings)
    return VideoIndex.open(folder, found)


def create_index(
    folder: str | Path | None,
    model: AnyModel,
    segments: Segmenter | None = None,
    store: str | None = None,
    device: str | None = None,
) -> VideoIndex:
    """Create an empty index.

    Args:
        folder (str | Path, optional): New or empty folder, by default :func:`default_index`.
        model (AnyModel): The model, or what :func:`load` reads it from.
        segments (Segmenter, optional): How videos are divided: :class:`FixedWindows` of 10 s every 5 s by
            default, :class:`Shots` or :class:`WholeVideos`.
        store (str, optional): Address of a store, see :func:`open_store`; by default it is in the folder.
        device (str, optional): See :func:`load`.

    Raises:
        FileExistsError: If the folder is not empty.
        TypeError: If the adapter of the model has no vector per video.

    Examples:
        >>> import mmclip4clip
        >>> index = mmclip4clip.create_index('index', 'epoch_5.pth')  # doctest: +SKIP
        >>> index.update(['videos/']).added  # doctest: +SKIP
        ['/videos/dog.mp4']
    """
    folder = default_index() if folder is None else Path(folder)
    return VideoIndex.create(folder, build_search_model(model, device), segments, store)


def build_search_model(
    model: AnyModel, device: str | None = None, settings: IndexSettings | None = None
) -> IndexEncoder:
    """Load a model for an index; the weights of a file that has not changed are not digested again.

    A model in memory may have other weights than its file, so its weights are digested.
    """
    fingerprint, stamp = None, None
    if isinstance(model, (str, Path)):
        stamp = stamp_model(str(model))  # before the file is read, so that a later change of it is noticed
        known = settings is not None and stamp is not None and stamp == settings.file_stamp
        fingerprint = settings.model.fingerprint if settings is not None and known else None
        model = load(model, device=device)
    if isinstance(model, OnnxVideoTextModel):
        return OnnxSearchModel(model, stamp)
    from .search_model import SearchModel  # imports torch

    return SearchModel(cast('VideoTextModel', model), fingerprint, stamp)
