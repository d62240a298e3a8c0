"""Loading of a complete CLIP of ``transformers`` from a local folder or the hub."""

import functools
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from mmengine.logging import print_log
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from ...hub import load_named
from ..weight_check import compare_weights
from .pretrained_folder import WEIGHTS, FolderError, has_weights, read_config, read_weights


def load_pretrained(name: str) -> CLIPModel:
    """Load CLIP in fp32, and log its source, number of tensors and stored precision.

    Args:
        name (str): Local folder, or name on the Hugging Face hub.

    Raises:
        OSError: If there is no such CLIP. Faults of a folder raise its subclass :class:`FolderError`.
    """
    try:
        folder = find_folder(name)
        config, tensors = read_config(folder), read_weights(folder)
        model = _build(config, tensors, folder)
    except FolderError as error:
        raise FolderError(
            f'backbone.pretrained={name!r} was refused: it is not a complete CLIP such as '
            f'CLIPModel.save_pretrained(FOLDER) writes: {error}'
        ) from error
    except (OSError, ValueError) as error:
        raise OSError(
            f'backbone.pretrained={name!r} could not be loaded: it is neither a local folder nor on the hub. '
            'Without a network, save CLIP with CLIPModel.save_pretrained(FOLDER) elsewhere and give FOLDER; '
            f'for random weights leave pretrained out. Cause: {error}'
        ) from error
    dtypes = {value.dtype for value in tensors.values() if value.is_floating_point()}
    precisions = sorted(str(dtype).removeprefix('torch.') for dtype in dtypes)
    print_log(
        f'CLIP from {name}: all {len(model.state_dict())} tensors, none missing, none left over, '
        f'stored in {", ".join(precisions)}' + ('' if Path(name).is_dir() else f' ({folder})'),
        logger='current',
    )
    return model


def find_folder(name: str) -> Path:
    """Return the local folder of that name, or a folder with the files of the hub, downloaded if needed.

    Raises:
        OSError: If neither exists.
        ValueError: If it is not a valid name on the hub.
    """
    if Path(name).exists():
        return Path(name)
    for weights in WEIGHTS:
        stem, end = weights.split('.')
        files = [
            'config.json',
            'adapter_config.json',
            weights,
            f'{weights}.index.json',
            f'{stem}-*-of-*.{end}',
        ]
        download = functools.partial(snapshot_download, allow_patterns=files)
        folder = Path(load_named(download, name, complete=has_weights))
        if has_weights(folder):
            break
    return folder


def _build(config: CLIPConfig, tensors: dict[str, Tensor], folder: Path) -> CLIPModel:
    """Build CLIP with exactly these tensors.

    Raises:
        FolderError: If keys are missing, unexpected or of another shape, or the config is invalid.
    """
    try:
        with torch.device('meta'):  # only shapes, without memory or random numbers
            expected = CLIPModel(config).state_dict()
    except Exception as error:  # odd sizes fail in many ways; the cause is reported
        raise FolderError(f'{folder}/config.json describes no CLIP: {error!r}') from error
    if all(
        key.startswith('clip.') for key in tensors
    ):  # as transformers saves a CLIP that is part of another model
        tensors = {key.removeprefix('clip.'): value for key, value in tensors.items()}
    difference = compare_weights(expected, tensors)
    if difference:
        raise FolderError(
            f'the weights in {folder} are not those of the CLIP that its config.json describes: {difference}'
        )
    return CLIPModel.from_pretrained(
        None, config=config, state_dict={key: tensors[key] for key in expected}, dtype=torch.float32
    )
