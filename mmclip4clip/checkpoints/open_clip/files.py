"""Files and folders of open_clip."""

import functools
import json
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import save_file

from ...hub import load_named
from ..checkpoint import Checkpoint
from ..io import atomic_path
from ..processor_files import TOKENIZER_FILES, write_tokenizer
from .weights import from_native
from .written_config import open_clip_config

CONFIG = 'open_clip_config.json'
WEIGHTS = ('open_clip_model.safetensors', 'open_clip_pytorch_model.bin')  # in the order of open_clip
WRITTEN = (CONFIG, *WEIGHTS, *TOKENIZER_FILES)
SUFFIXES = ('.bin', '.pt', '.safetensors')


def is_file_name(path: Path) -> bool:
    """Return whether a destination is a file of weights, and not a folder."""
    return path.suffix.lower() in SUFFIXES


def find_config(path: Path) -> Path | None:
    """Find ``open_clip_config.json``, or a model config with the checkpoint's name, in its folder."""
    if path.with_name(CONFIG).is_file():
        return path.with_name(CONFIG)
    other = path.with_suffix('.json')
    try:
        content = json.loads(other.read_text(encoding='utf-8')) if other.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None  # any file may have that name
    return other if isinstance(content, dict) and ({'model_cfg', 'vision_cfg'} & set(content)) else None


def find_weights(folder: Path) -> Path | None:
    """Return the weights in a folder of open_clip; None if it is another folder."""
    if not (folder / CONFIG).is_file():
        return None
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def download(name: str) -> Path:
    """Return the file of weights of a repository of open_clip on the Hugging Face hub.

    Raises:
        OSError: If it is not there, or the repository has none.
    """
    for weights in WEIGHTS:
        fetch = functools.partial(snapshot_download, allow_patterns=[CONFIG, weights, *TOKENIZER_FILES])
        folder = load_named(fetch, name, complete=lambda found: find_weights(Path(found)) is not None)
        found = find_weights(Path(folder))
        if found:
            return found
    raise OSError(f'{name!r} has neither config.json, nor {CONFIG} with {" or ".join(WEIGHTS)}')


def write(checkpoint: Checkpoint, path: Path) -> int:
    """Write a file of weights with the config beside it, or a folder with both and the tokenizer.

    Args:
        checkpoint (Checkpoint): The checkpoint; gets notes.
        path (Path): A name with one of the suffixes .bin, .pt, .safetensors is a file, others are folders.

    Returns:
        int: Number of tensors.

    Raises:
        ValueError: If open_clip has no such model.
    """
    config = json.dumps(open_clip_config(checkpoint), indent=2) + '\n'
    tensors = from_native(checkpoint)
    if is_file_name(path):
        with atomic_path(path) as partial, atomic_path(path.with_name(CONFIG)) as described:
            _save(tensors, partial, path.suffix)
            described.write_text(config, encoding='utf-8')
        return len(tensors)
    with atomic_path(path) as partial:
        partial.mkdir()
        (partial / CONFIG).write_text(config, encoding='utf-8')
        _save(tensors, partial / WEIGHTS[0], '.safetensors')
        # safetensors creates files that only their owner can read.
        (partial / WEIGHTS[0]).chmod((partial / CONFIG).stat().st_mode)
        checkpoint.notes += write_tokenizer(checkpoint.tokenizers, partial)
    return len(tensors)


def _save(tensors: dict[str, torch.Tensor], path: Path, suffix: str) -> None:
    if suffix.lower() == '.safetensors':
        save_file(tensors, path, metadata=dict(format='pt'))
        return
    with path.open('wb') as file:  # torch.save writes the name of a path into the file
        torch.save(tensors, file)
