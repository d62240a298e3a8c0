"""The folder of an exported model: its files, and what they were made from, as JSON."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..atomic_file import atomic_file
from ..safe_json import read_json, shorten
from ..search.feature_layout import FeatureLayout
from ..search.index_settings import ModelIdentity

FORMAT = 2  # of heads that compare more than a vector; 1 for others, which earlier versions read too
SETTINGS, TOKENIZER = 'export.json', 'tokenizer.json'
FRAMES, TEXT, ADAPTER, PAIRS = 'frames.onnx', 'text.onnx', 'adapter.onnx', 'pairs.onnx'
GRAPHS = (FRAMES, TEXT, ADAPTER, PAIRS)  # the last is that of heads that compare more than a vector


class ExportError(ValueError):
    """Raised if the folder of an exported model is damaged, incomplete, or of another version."""


class PairScoring(NamedTuple):
    """How a head compares more than a vector.

    Args:
        layout (FeatureLayout): Of the features of a video, as an index stores them.
        text (list[str]): Parts of the features of a text.
        pairs_at_once (int): Pairs of a text and a video to score at once, which bounds memory.

    Examples:
        >>> part = dict(shape=[8], per_frame=True, dtype='float32')
        >>> content = dict(layout=dict(frames=part), text=['text'], pairs_at_once=128)
        >>> PairScoring.from_json(content).as_json() == content
        True
    """

    layout: FeatureLayout
    text: list[str]
    pairs_at_once: int

    @classmethod
    def from_json(cls, value: Any) -> 'PairScoring':
        """Read what :meth:`as_json` returned.

        Raises:
            ValueError: If it has another form.
        """
        match value:
            case {'layout': layout, 'text': [str(), *_] as text, 'pairs_at_once': int(count)}:
                if all(isinstance(name, str) for name in text) and type(count) is int and count > 0:
                    return cls(FeatureLayout.from_json(layout), text, count)
        raise ValueError(f'scoring must have layout, text and pairs_at_once, got {shorten(value)}')

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dict(self._asdict(), layout=self.layout.as_json())


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
        scoring (PairScoring, optional): None if the cosine is the score.

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
    scoring: PairScoring | None = None

    def write(self, folder: Path) -> None:
        """Write the settings; last, because a folder without them is no model."""
        content = dict(format=1, **asdict(replace(self, scoring=None)))
        if self.scoring is not None:
            content.update(format=FORMAT, scoring=self.scoring.as_json())
        with atomic_file(folder / SETTINGS) as file:
            file.write(json.dumps(content, indent=1).encode())


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
        scoring = content.get('scoring')
        content['scoring'] = None if scoring is None else PairScoring.from_json(scoring)
        settings = ExportSettings(**dict(content, identity=ModelIdentity(**content['identity'])))
        sizes = {str(name): int(size) for name, size in settings.sizes.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f'{path} is no settings of an exported model, or damaged: {error!r}') from error
    graphs = [name for name in GRAPHS if name != PAIRS or settings.scoring is not None]
    for name in (*graphs, TOKENIZER):
        found = (folder / name).stat().st_size if (folder / name).is_file() else None
        if found != sizes.get(name) or found is None:
            state = 'is missing' if found is None else f'has {found} bytes instead of {sizes.get(name)}'
            raise ExportError(
                f'the exported model {folder} is damaged or incomplete: {name} {state}. Export it again'
            )
    return settings


def file_sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the files of an exported model in bytes."""
    names = [name for name in (*GRAPHS, TOKENIZER) if (folder / name).is_file()]
    return {name: (folder / name).stat().st_size for name in names}
