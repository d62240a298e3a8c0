from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import mmaction, native, open_clip, openai, reference, transformers_folder
from .assumptions import list_assumptions
from .checkpoint import OPENAI_BUILT, Checkpoint
from .description import adapter_config, summary
from .formats import KINDS, current_name, kind_by_name, recognize
from .io import check_destination, read_file, written_whole
from .renaming import shorten, unwrap
from .shape_check import check_shapes


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


def read(path: Path, head: str | None = None) -> tuple[str, Checkpoint]:
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
        return 'transformers', transformers_folder.to_native(path)
    content: Any = read_file(path)
    wrapped = isinstance(content, dict) and isinstance(content.get('state_dict'), dict)
    tensors = content['state_dict'] if wrapped else content
    if not isinstance(tensors, dict) or not all(isinstance(key, str) for key in tensors):
        raise ValueError(f'{path} holds a {type(tensors).__name__}, expected a dict of tensors by name')
    tensors, prefix = unwrap(tensors)
    kind = recognize(tensors, wrapped, str(path))
    others = [f'{key} ({type(v).__name__})' for key, v in tensors.items() if not isinstance(v, Tensor)]
    if others:
        raise ValueError(f'{path} holds what are no tensors: {shorten(others)}')
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
        checkpoint = openai.to_native(tensors, str(path))
    if prefix:
        checkpoint.notes.append(f'took {prefix!r}, which a wrapper has put there, off all keys')
    return kind, checkpoint


def read_checked(path: Path, head: str | None = None) -> tuple[str, Checkpoint]:
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
            return transformers_folder.from_native(checkpoint, partial)
        makers = dict(mmclip4clip=native, openai=openai, reference=reference, mmaction=mmaction)
        content = makers[kind].from_native(checkpoint)
        if kind == 'mmaction':
            content = dict(meta={}, state_dict=content)
        with partial.open('wb') as file:  # a path would leave its name in the file
            torch.save(content, file)
        return len(content.get('state_dict', content))


def learn_config(checkpoint: Checkpoint, source: str, src: Path, model_config: Path | None) -> None:
    """Read the model config of an open_clip file, if the user gives one or one lies beside it.

    Raises:
        ValueError: If it does not fit.
    """
    if model_config and source != 'openai':
        raise ValueError(
            f"--model-config is for files with the keys of OpenAI's CLIP; {src} is {KINDS[source]}"
        )
    certain = source != 'openai' or checkpoint.settings.get('vision_config')
    path = model_config or (None if certain else open_clip.find_config(src))
    if path:
        open_clip.learn_config(checkpoint, path)


def settle(checkpoint: Checkpoint, source: str, src: Path) -> None:
    """Ask for what nobody tells of a file that may be open_clip's, and note what is assumed of others.

    What the reference and mmaction2 build is OpenAI's CLIP, so of their towers nothing is assumed.

    Raises:
        ValueError: Saying what is to be told, and how.
    """
    untold = list_assumptions(checkpoint)
    if checkpoint.origin in OPENAI_BUILT:
        untold = [item for item in untold if checkpoint.origin == 'mmaction' and 'adapter' in item.what]
    if source == 'openai' and untold:
        options = ' '.join(f'{item.option} {item.argument}' for item in untold)
        raise ValueError(
            f"{src} has the keys of OpenAI's CLIP, and so have the files of open_clip. Nothing tells "
            f"{', '.join(item.what for item in untold)}. If it is built as OpenAI's, say {options}. "
            'Models of open_clip have --activation gelu, unless their name has quickgelu in it, and some '
            'have other heads: give their model config with --model-config FILE.json, or put it beside '
            'the file as open_clip_config.json'
        )
    checkpoint.notes += [
        f'the checkpoint does not tell {item.what}: {item.value} is assumed; {item.option} says otherwise'
        for item in untold
    ]
    text, adapter = checkpoint.clip_config()['text_config'], adapter_config(checkpoint)
    if (
        not checkpoint.settings.get('adapter', {}).get('type')
        and text['hidden_act'] != 'quick_gelu'
        and adapter.get('num_layers')
        and 'start' not in adapter
    ):
        checkpoint.notes.append(
            "the adapter's blocks are assumed to have started from the text tower, with "
            f'its activation, {text["hidden_act"]}'
        )


def convert(
    src: Path,
    dst: Path,
    to: str | None = None,
    head: str | None = None,
    clip_only: bool = False,
    text_heads: int | None = None,
    vision_heads: int | None = None,
    activation: str | None = None,
    adapter_heads: int | None = None,
    model_config: Path | None = None,
    force: bool = False,
) -> Conversion:
    """Turn a checkpoint of one kind into another.

    Args:
        src (Path): What to read; its keys tell the kind.
        dst (Path): What to write.
        to (str, optional): One of ``KINDS``. By default the ending of ``dst``:
            ``.pth`` this package's, ``.bin`` (or ``.bin.3``) the reference's, ``.pt``
            OpenAI's, none a folder of transformers.
        head (str, optional): See :func:`reference.find_adapter`.
        clip_only (bool): Leave out the adapter, and of a 3d patch all but the middle.
        text_heads (int, optional): Attention heads of the text tower, where the
            source does not tell.
        vision_heads (int, optional): The same of the vision tower.
        activation (str, optional): ``'quick_gelu'`` or ``'gelu'``, likewise.
        adapter_heads (int, optional): Attention heads of the adapter, likewise.
        model_config (Path, optional): Model config of open_clip, for files with the keys of OpenAI's CLIP. By
            default one beside the file, see :func:`open_clip.find_config`.
        force (bool): Replace ``dst``.

    Raises:
        FileExistsError: If ``dst`` exists, without ``force``.
        ValueError: If something does not fit; then nothing is written.
    """
    target = current_name(to) if to else kind_by_name(dst)
    check_destination(dst, target == 'transformers', transformers_folder.WRITTEN, force)
    if dst.exists() and src.exists() and dst.samefile(src):
        raise ValueError(f'{src} cannot be converted into itself')
    source, checkpoint = read_checked(src, head)
    if head and source != 'reference':
        raise ValueError(f"--head is for the reference's files; {src} is {KINDS[source]}")
    if source == target == 'mmclip4clip' and not clip_only:
        raise ValueError(f'{src} is {KINDS["mmclip4clip"]} already')
    learn_config(checkpoint, source, src, model_config)
    checkpoint.set_heads(text=text_heads, vision=vision_heads)
    checkpoint.set_activation(activation)
    checkpoint.set_adapter_heads(adapter_heads)
    settle(checkpoint, source, src)
    check_shapes(checkpoint, str(src))
    found, unused = summary(checkpoint), checkpoint.unused
    if clip_only:
        checkpoint.without_adapter()
    if unused and (clip_only or target not in ('mmclip4clip', checkpoint.origin)):
        checkpoint.notes.append(
            f'left out {len(unused)} tensors that {KINDS[checkpoint.origin]} has and our '
            f'model has no use for: {shorten(unused)}'
        )
    return Conversion(source, found, target, checkpoint, write(checkpoint, target, dst))
