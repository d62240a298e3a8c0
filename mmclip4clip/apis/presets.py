"""Published weights, with the frames and pixels that belong to them, from ``model-index.yml``."""

from pathlib import Path
from typing import Any, NamedTuple

from mmengine.fileio import load

PACKAGE = Path(__file__).parents[1]
ROOTS = (PACKAGE / '.mim', PACKAGE.parent)  # of an installation, and of the repository
INDEX = 'model-index.yml'


class Preset(NamedTuple):
    """Weights that others published.

    Args:
        name (str): Name on the Hugging Face hub, or project and name.
        config (str): Config of this package that uses them, ``configs/...``.
        weights (str): URL of the weights.
        format (str): Kind of checkpoint, one of ``mmclip4clip.checkpoints.KINDS``. Those of
            ``'transformers'`` are loaded by their name, others are converted.
        frames (dict): Config of the transform that samples frames in a test.
        pixels (list[dict]): Configs of the transforms that resize and crop frames.
        mean (list[float]): Mean of R, G and B in 0 to 1.
        std (list[float]): Standard deviation of R, G and B in 0 to 1.
        projection (int): Width of the features that are compared.
        results (list[dict]): Published figures, each with its publisher.

    Examples:
        >>> preset = find_preset('Searchium-ai/clip4clip-webvid150k')
        >>> preset.frames['fps'], preset.usage()
        (1, "clip = 'Searchium-ai/clip4clip-webvid150k'")
    """

    name: str
    config: str
    weights: str
    format: str
    frames: dict
    pixels: list[dict]
    mean: list[float]
    std: list[float]
    projection: int
    results: list[dict]

    def usage(self) -> str:
        """Return the line of a config, or the command, that makes the weights available."""
        if self.format == 'transformers':
            return f'clip = {self.name!r}'
        return f'python tools/model_converters/convert.py {Path(self.weights).name} clip4clip.pth'


def list_presets() -> list[Preset]:
    """Return the published weights that ``model-index.yml`` lists; none if the package was copied without it.

    Examples:
        >>> [preset.format for preset in list_presets()]
        ['transformers', 'mmaction']
    """
    return [_read(entry) for entry in index_entries()[1] if 'Weights' in entry]


def index_entries() -> tuple[Path | None, list[dict[str, Any]]]:
    """Return the folder of ``model-index.yml`` and its entries: configs, and published weights.

    Returns:
        tuple[Path | None, list[dict]]: None and no entries if the package was copied without it.
    """
    root = next((folder for folder in ROOTS if (folder / INDEX).is_file()), None)
    if root is None:
        return None, []
    files = [load(root / path) for path in load(root / INDEX)['Import']]
    return root, [entry for file in files for entry in file['Models']]


def find_preset(name: str) -> Preset | None:
    """Return the preset of that name; None if there is none."""
    return next((preset for preset in list_presets() if preset.name == name), None)


def describe_presets() -> str:
    """Return the presets as text: for each the name, and how and with which config to use it."""
    return '\n'.join(
        f'{preset.name}\n  weights  {preset.weights}\n  use      {preset.usage()}\n  config   {preset.config}'
        for preset in list_presets()
    )


def _read(model: dict[str, Any]) -> Preset:
    """Read an entry of the index; lists in configs become tuples, which YAML has not."""
    facts = model['Metadata']
    return Preset(
        name=model['Name'],
        config=model['Config'],
        weights=model['Weights'],
        format=facts['Format'],
        frames=facts['Frames'],
        pixels=[
            {key: tuple(value) if isinstance(value, list) else value for key, value in step.items()}
            for step in facts['Pixels']
        ],
        mean=facts['Mean'],
        std=facts['Std'],
        projection=facts['Projection'],
        results=model['Results'],
    )
