import re
from pathlib import Path
from typing import Iterable, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from . import mmaction, openai, ours, reference, transformers_folder
from .checkpoint import Checkpoint
from .description import summary
from .files import check_destination, read_file, written_whole
from .fits import check_shapes
from .renaming import shorten

KINDS = dict(
    ours='a checkpoint of mmclip4clip', openai="OpenAI's CLIP", transformers='a CLIP folder of transformers',
    reference="the reference's pytorch_model.bin", mmaction="mmaction2's CLIPSimilarity")
ENDINGS = ((r'.*\.pth', 'ours'), (r'.*\.pt', 'openai'), (r'.*\.bin(\.[\w.]+)?', 'reference'),
           (r'[^.]+', 'transformers'))


class Conversion(NamedTuple):
    """What :func:`convert` did.

    Args:
        source (str): The kind that was read, one of ``KINDS``.
        found (str): Sizes, adapter and patch of what was read.
        target (str): The kind that was written.
        checkpoint (Checkpoint): What was written, with notes.
        tensors (int): How many were written.
    """

    source: str
    found: str
    target: str
    checkpoint: Checkpoint
    tensors: int


def kind_by_name(path: Path) -> str:
    """Tell from a file's ending what is to be written, as :func:`convert` says.

    Raises:
        ValueError: If the ending stands for nothing.
    """
    for pattern, kind in ENDINGS:
        if re.fullmatch(pattern, path.name):
            return kind
    raise ValueError(f'the ending of {path} does not tell what to write: say --to with one of '
                     + ', '.join(KINDS))


def recognise(keys: Iterable[str], wrapped: bool, name: str) -> str:
    """Tell from its keys what a file is.

    Mean pooling leaves the same keys in the reference and in mmaction2, where
    mmengine wraps them in a dict with more.

    Args:
        keys (Iterable[str]): Keys of the state dict.
        wrapped (bool): Whether the state dict is an entry ``state_dict`` of the file.
        name (str): What errors call the file.

    Returns:
        str: One of ``KINDS``.

    Raises:
        ValueError: If it is none of them, saying which keys were seen.
    """
    keys = list(keys)

    def some(*starts: str) -> bool:
        return any(key.startswith(starts) for key in keys)

    if some('visual.layer1.', 'clip.visual.layer1.'):
        raise ValueError(f'{name} is a CLIP with a ResNet; only vision transformers are supported')
    if some('backbone.clip.'):
        return 'ours'
    if some('clip.visual.'):
        return 'mmaction' if wrapped or some('adapter.', 'data_preprocessor.') else 'reference'
    if some('visual.') and some('transformer.resblocks.'):
        return 'openai'
    hint = '; for a CLIP of transformers give the folder, which has its config.json' \
        if some('text_model.', 'vision_model.') else ''
    raise ValueError(f'{name} is none of: {", ".join(KINDS.values())}. It has {len(keys)} keys: '
                     f'{shorten(keys)}{hint}')


def read(path: Path, head: Optional[str] = None) -> Tuple[str, Checkpoint]:
    """Read a checkpoint of any kind.

    Args:
        path (Path): File, or folder of transformers.
        head (str, optional): See :func:`reference.find_adapter`.

    Returns:
        tuple[str, Checkpoint]: Its kind, one of ``KINDS``, and what it holds.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is of no known kind, or not complete.
    """
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    if path.is_dir():
        return 'transformers', transformers_folder.to_ours(path)
    content = read_file(path)
    wrapped = isinstance(content, dict) and isinstance(content.get('state_dict'), dict)
    tensors = content['state_dict'] if wrapped else content
    if not isinstance(tensors, dict) or not all(isinstance(key, str) for key in tensors):
        raise ValueError(f'{path} holds a {type(tensors).__name__}, expected a dict of tensors by name')
    kind = recognise(tensors, wrapped, str(path))
    others = [f'{key} ({type(v).__name__})' for key, v in tensors.items() if not isinstance(v, Tensor)]
    if others:
        raise ValueError(f'{path} holds what are no tensors: {shorten(others)}')
    if kind == 'ours':
        return kind, ours.to_ours(content if wrapped else dict(state_dict=tensors), str(path))
    if kind == 'reference':
        return kind, reference.to_ours(tensors, str(path), head)
    if kind == 'mmaction':
        model = ours.trained_model(content.get('meta') or {}) if wrapped else {}
        return kind, mmaction.to_ours(tensors, str(path), model.get('adapter', {}))
    return kind, openai.to_ours(tensors, str(path))


def read_checked(path: Path, head: Optional[str] = None) -> Tuple[str, Checkpoint]:
    """Read as :func:`read` does, and refuse what contradicts itself.

    Raises:
        OSError: If there is nothing, or it cannot be read.
        RuntimeError: If the file is broken, or needs more than plain values.
        ValueError: If it is of no known kind, not complete, or its parts do not fit one another.
    """
    try:
        source, checkpoint = read(path, head)
        check_shapes(checkpoint, str(path))
    except (OSError, RuntimeError, ValueError):
        raise
    except Exception as error:  # odd content can fail in any way; the cause is reported
        raise ValueError(f'{path} holds what no such checkpoint does: {error!r}') from error
    return source, checkpoint


def write(checkpoint: Checkpoint, kind: str, path: Path) -> int:
    """Write a checkpoint as one of ``KINDS``, whole or not at all; return the number of tensors.

    Raises:
        ValueError: If the kind has no place for what the checkpoint holds.
    """
    with written_whole(path) as partial:
        if kind == 'transformers':
            return transformers_folder.from_ours(checkpoint, partial)
        makers = dict(ours=ours, openai=openai, reference=reference, mmaction=mmaction)
        content = makers[kind].from_ours(checkpoint)
        if kind == 'mmaction':
            content = dict(meta={}, state_dict=content)
        with partial.open('wb') as file:  # a path would leave its name in the file
            torch.save(content, file)
        return len(content.get('state_dict', content))


def convert(src: Path, dst: Path, to: Optional[str] = None, head: Optional[str] = None,
            clip_only: bool = False, text_heads: Optional[int] = None, vision_heads: Optional[int] = None,
            force: bool = False) -> Conversion:
    """Turn a checkpoint of one kind into another.

    Args:
        src (Path): What to read; its keys tell the kind.
        dst (Path): What to write.
        to (str, optional): One of ``KINDS``. By default the ending of ``dst``:
            ``.pth`` ours, ``.bin`` (or ``.bin.3``) the reference's, ``.pt``
            OpenAI's, none a folder of transformers.
        head (str, optional): See :func:`reference.find_adapter`.
        clip_only (bool): Leave out the adapter, and of a 3d patch all but the middle.
        text_heads (int, optional): Attention heads of the text tower, where the
            source does not tell; one every 64 channels if None.
        vision_heads (int, optional): The same of the vision tower.
        force (bool): Replace ``dst``.

    Raises:
        FileExistsError: If ``dst`` exists, without ``force``.
        ValueError: If something does not fit; then nothing is written.
    """
    target = to or kind_by_name(dst)
    check_destination(dst, target == 'transformers', transformers_folder.WRITTEN, force)
    if dst.exists() and src.exists() and dst.samefile(src):
        raise ValueError(f'{src} cannot be converted into itself')
    source, checkpoint = read_checked(src, head)
    if head and source != 'reference':
        raise ValueError(f"--head is for the reference's files; {src} is {KINDS[source]}")
    if source == target == 'ours' and not clip_only:
        raise ValueError(f'{src} is {KINDS["ours"]} already')
    checkpoint.set_heads(text=text_heads, vision=vision_heads)
    found, unused = summary(checkpoint), checkpoint.unused
    if clip_only:
        checkpoint.without_adapter()
    if unused and (clip_only or target not in ('ours', checkpoint.origin)):
        checkpoint.notes.append(f'left out {len(unused)} tensors that {KINDS[checkpoint.origin]} has and our '
                                f'model has no use for: {shorten(unused)}')
    return Conversion(source, found, target, checkpoint, write(checkpoint, target, dst))
