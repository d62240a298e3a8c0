"""What made an index, as a JSON file in its folder."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..atomic_file import atomic_file

FORMAT = 1
FILE = 'index.json'


class IndexMismatchError(ValueError):
    """Raised if an index was made by another model than the one to use with it."""


@dataclass(frozen=True)
class ModelIdentity:
    """What determines the vectors of a video, besides the video.

    Args:
        name (str): The checkpoint, folder or name that the model was loaded from.
        adapter (str): Class of the adapter.
        width (int): Width D of the vectors.
        fingerprint (str): Digest of the weights.
        frames (str): How frames are sampled, resized and normalized.

    Examples:
        >>> first = ModelIdentity('a.pth', 'MeanAdapter', 512, 'ab', 'SampleAtRate(fps=1)')
        >>> first.differences(ModelIdentity('b.pth', 'MeanAdapter', 512, 'cd', 'SampleAtRate(fps=1)'))
        ["weights: 'ab' -> 'cd'"]
    """

    name: str
    adapter: str
    width: int
    fingerprint: str
    frames: str

    def differences(self, other: 'ModelIdentity') -> list[str]:
        """List what would give other vectors; the name alone would not."""
        keys = dict(adapter='adapter', width='width', fingerprint='weights', frames='frames')
        return [
            f'{name}: {getattr(self, key)!r} -> {getattr(other, key)!r}'
            for key, name in keys.items()
            if getattr(self, key) != getattr(other, key)
        ]


@dataclass(frozen=True)
class IndexSettings:
    """Settings of an index.

    Args:
        model (ModelIdentity): The model that made it.
        segments (dict): See :func:`describe_segments`.
        store (str, optional): Address of the store; None for the one in the folder of the index.
        features (dict, optional): Layout of stored features; None if the vector is all.
        file_stamp (list[int], optional): Sizes and times of the files of the model, so that they are not
            digested again if these are the same.
        identifier (str, optional): Random name, by which a store on a server knows its index.

    Examples:
        >>> model = ModelIdentity('a.pth', 'MeanAdapter', 512, 'ab', '')
        >>> IndexSettings(model, dict(kind='whole')).store is None
        True
    """

    model: ModelIdentity
    segments: dict[str, Any]
    store: str | None = None
    features: dict[str, Any] | None = None
    file_stamp: list[int] | None = field(default=None, compare=False)
    identifier: str | None = field(default=None, compare=False)

    def write(self, folder: Path) -> None:
        """Write the settings into the folder of the index."""
        with atomic_file(folder / FILE) as file:
            file.write(json.dumps(dict(format=FORMAT, **asdict(self)), indent=1).encode())


def read_settings(folder: Path) -> IndexSettings:
    """Read the settings of an index.

    Raises:
        FileNotFoundError: If the folder does not exist, or contains no index.
        ValueError: If the file is damaged, or of a later version.
    """
    path = folder / FILE
    if not path.is_file():
        state = f'has no {FILE}' if folder.is_dir() else 'does not exist'
        raise FileNotFoundError(
            f'there is no index at {folder}: the folder {state}. Create one with: mmclip4clip index FOLDER '
            f'--model CHECKPOINT --index {folder}'
        )
    try:
        content = json.loads(path.read_text())
        version = content.pop('format')
        if not isinstance(version, int) or version > FORMAT:
            raise ValueError(f'format {version!r}, this mmclip4clip knows {FORMAT}: update it')
        names = {entry.name for entry in fields(IndexSettings)}
        content = {key: value for key, value in content.items() if key in names}
        return IndexSettings(**dict(content, model=ModelIdentity(**content['model'])))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is no settings of an index, or damaged: {error!r}') from error
