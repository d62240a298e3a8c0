"""Read checkpoints of any kind."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from ..models.backbones.pretrained import find_folder
from . import mmaction, native, open_clip, reference, transformers_folder
from .checkpoint import Checkpoint
from .formats import recognize
from .io import read_file
from .processor_files import read_tokenizer
from .renaming import join_names, unwrap
from .shape_check import check_shapes

HUB_NAME = re.compile(r'[\w-]+/[\w.-]+')
FILES = ('.bin', '.ckpt', '.pt', '.pth', '.safetensors')  # a name with one of these is a file that is missing


def read(path: Path, head: str | None = None, model_config: Path | None = None) -> tuple[str, Checkpoint]:
    """Read a checkpoint of any kind.

    Args:
        path (Path): File, folder of transformers or open_clip, or name of an encoder on the Hugging Face hub.
        head (str, optional): See :func:`reference.find_adapter`.
        model_config (Path, optional): Model config of a SigLIP of open_clip, if it is not beside the file.

    Returns:
        tuple[str, Checkpoint]: Its kind, one of ``KINDS``, and its content.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is of an unknown kind, or incomplete.

    Examples:
        >>> import tempfile, torch
        >>> from mmclip4clip.models import CLIPBackbone
        >>> tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=1, num_attention_heads=1)
        >>> vision = dict(tower, image_size=32, patch_size=16)
        >>> text = dict(tower, vocab_size=99)
        >>> backbone = CLIPBackbone(config=dict(text_config=text, vision_config=vision))
        >>> weights = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(dict(state_dict=weights), f'{folder}/clip4clip.pth')
        ...     kind, checkpoint = read(Path(folder, 'clip4clip.pth'))
        >>> kind, checkpoint.adapter
        ('mmclip4clip', 'MeanAdapter')
    """
    path = locate(path)
    if path.is_dir():
        return 'transformers', transformers_folder.to_native(path)
    content: Any = read_file(path)
    wrapped = isinstance(content, dict) and isinstance(content.get('state_dict'), dict)
    tensors = content['state_dict'] if wrapped else content
    if not isinstance(tensors, dict) or not all(isinstance(key, str) for key in tensors):
        raise ValueError(f'{path} contains a {type(tensors).__name__}, expected a dict of tensors by name')
    tensors, prefix = unwrap(tensors)
    kind = recognize(tensors, wrapped, str(path))
    others = [f'{key} ({type(v).__name__})' for key, v in tensors.items() if not isinstance(v, Tensor)]
    if others:
        raise ValueError(f'{path} contains entries that are not tensors: {join_names(others)}')
    if kind == 'mmclip4clip':
        checkpoint = native.to_native(
            {**content, 'state_dict': tensors} if wrapped else dict(state_dict=tensors), str(path)
        )
    elif kind == 'reference':
        checkpoint = reference.to_native(tensors, str(path), head)
    elif kind == 'mmaction':
        model = native.trained_model(content.get('meta') or {}) if wrapped else {}
        checkpoint = mmaction.to_native(tensors, str(path), model.get('adapter', {}))
    else:
        config = model_config or open_clip.find_config(path)
        checkpoint = open_clip.to_native(tensors, str(path), config)
        if not checkpoint.tokenizers and path.with_name(open_clip.CONFIG) == config:
            checkpoint.tokenizers, notes = read_tokenizer(path.parent)
            checkpoint.notes += notes
    if prefix:
        checkpoint.notes.append(f'removed the prefix {prefix!r} of a wrapper from all keys')
    return kind, checkpoint


def locate(path: Path) -> Path:
    """Return a path that exists, or the local folder of an encoder on the Hugging Face hub, ``owner/name``.

    Of a folder of open_clip, it is the file of weights.

    Raises:
        FileNotFoundError: If there is neither; says why the hub was not asked, or what it answered.
    """
    if path.is_dir() and not (path / 'config.json').is_file():
        return open_clip.find_weights(path) or path
    if path.exists():
        return path
    named = HUB_NAME.fullmatch(str(path)) and path.suffix.lower() not in FILES and not path.parent.exists()
    if not named:
        raise FileNotFoundError(f'{path} does not exist')
    try:
        folder = find_folder(str(path))
        return folder if (folder / 'config.json').is_file() else open_clip.download(str(path))
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f'{path} does not exist, and is not the name of a CLIP on the hub: {error}'
        ) from error


def read_checked(
    path: Path, head: str | None = None, model_config: Path | None = None
) -> tuple[str, Checkpoint]:
    """Read a checkpoint as :func:`read` does, and check its shapes.

    Raises:
        OSError: If it does not exist or cannot be read.
        RuntimeError: If the file is damaged, or contains more than plain values.
        ValueError: If it is of an unknown kind, incomplete, or its shapes contradict each other.
    """
    try:
        source, checkpoint = read(path, head, model_config)
        check_shapes(checkpoint, str(path))
    except (OSError, RuntimeError, ValueError):
        raise
    except Exception as error:  # odd content can fail in any way; the cause is reported
        raise ValueError(f'{path} contains invalid values: {error!r}') from error
    return source, checkpoint
