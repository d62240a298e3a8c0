"""The folder of an exported model: its files, and what they were made from, as JSON."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..atomic_file import atomic_file
from ..safe_json import read_json, shorten
from ..search.index_settings import ModelIdentity

FORMAT = 1
SETTINGS, TOKENIZER = 'export.json', 'tokenizer.json'
FRAMES, TEXT, ADAPTER = 'frames.onnx', 'text.onnx', 'adapter.onnx'
GRAPHS = (FRAMES, TEXT, ADAPTER)


class ExportError(ValueError):
    """Raised if the folder of an exported model is damaged, incomplete, or of another version."""


@dataclass(frozen=True)
class ExportSettings:
    """What an exported model is and how its input is prepared.

    Args:
        identity (ModelIdentity): That of the torch model, so that an index of one can be searched with the
            other.
        frames (dict): ``decode``, arguments of :class:`DecodeVideo`; ``sampling``, its samplers, and
            ``resize``, :class:`ResizeCenterCrop` or None, by ``type`` and arguments; ``size`` (H, W);
            ``mean`` and ``std`` of RGB in 0 to 255, which the graph applies.
        captions (dict): ``start`` and ``end``, ids around the words; ``max_words``, tokens with these; and
            ``lowercase``.
        neighbors (bool): Whether a frame is encoded together with the frames before and after it.
        weights (str): ``'float32'`` or ``'int8'``.
        versions (dict): Of this package, torch and the ONNX operators (``opset``) that wrote the files.
        sizes (dict[str, int]): Size of each file in bytes.

    Examples:
        >>> identity = ModelIdentity('a.pth', 'MeanAdapter', 512, 'ab', '{}')
        >>> ExportSettings(identity, {}, {}, False, 'float32', {}, {}).weights
        'float32'
    """

    identity: ModelIdentity
    frames: dict[str, Any]
    captions: dict[str, Any]
    neighbors: bool
    weights: str
    versions: dict[str, Any]
    sizes: dict[str, int]

    def write(self, folder: Path) -> None:
        """Write the settings; last, because a folder without them is no model."""
        with atomic_file(folder / SETTINGS) as file:
            file.write(json.dumps(dict(format=FORMAT, **asdict(self)), indent=1).encode())


def is_export(source: str | Path) -> bool:
    """Return whether a source is the folder of an exported model, complete or not."""
    folder = Path(source).expanduser()
    return any((folder / name).is_file() for name in (SETTINGS, *GRAPHS))


def read_export(folder: Path) -> ExportSettings:
    """Read the settings of an exported model, and check that its files are there in their full size.

    Raises:
        ExportError: If they are damaged or of a later version, or a file is missing or has another size.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise ExportError(f'the exported model {folder} is incomplete: it has no {SETTINGS}. Export it again')
    try:
        content = read_json(path)
        version = content.pop('format')
        if type(version) is not int or version > FORMAT:
            raise ValueError(f'format {shorten(version)}, this mmclip4clip knows {FORMAT}: update it')
        names = {entry.name for entry in fields(ExportSettings)}
        content = {key: value for key, value in content.items() if key in names}
        settings = ExportSettings(**dict(content, identity=ModelIdentity(**content['identity'])))
        sizes = {str(name): int(size) for name, size in settings.sizes.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f'{path} is no settings of an exported model, or damaged: {error!r}') from error
    for name in (*GRAPHS, TOKENIZER):
        found = (folder / name).stat().st_size if (folder / name).is_file() else None
        if found != sizes.get(name) or found is None:
            state = 'is missing' if found is None else f'has {found} bytes instead of {sizes.get(name)}'
            raise ExportError(
                f'the exported model {folder} is damaged or incomplete: {name} {state}. Export it again'
            )
    return settings


def file_sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the files of an exported model in bytes."""
    return {name: (folder / name).stat().st_size for name in (*GRAPHS, TOKENIZER)}
