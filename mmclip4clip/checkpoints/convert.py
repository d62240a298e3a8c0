from pathlib import Path
from typing import NamedTuple

import torch

from . import mmaction, native, open_clip, openai, reference, transformers_folder
from .assumptions import list_assumptions
from .checkpoint import OPENAI_ARCHITECTURE, Checkpoint
from .description import adapter_config, summary
from .formats import KINDS, current_name, kind_from_suffix
from .io import atomic_path, check_destination
from .lora import read_merged
from .reading import locate, read_checked
from .renaming import join_names
from .shape_check import check_shapes

OPENAI_KEYS = ('openai', 'open_clip')  # kinds whose files do not specify heads and activation


class Conversion(NamedTuple):
    """Result of :func:`convert`.

    Args:
        source (str): Kind of the source, one of ``KINDS``.
        found (str): Sizes, adapter and patch of the source.
        target (str): Kind of the written checkpoint.
        checkpoint (Checkpoint): The written checkpoint, with notes.
        tensors (int): Number of written tensors.
        use (str, optional): How to use it, if the checkpoint does not determine that.

    Examples:
        >>> done = Conversion('openai', 'ViT with 2d patches', 'mmclip4clip', Checkpoint({}), 302)
        >>> f'{done.source} -> {done.target}: {done.tensors} tensors'
        'openai -> mmclip4clip: 302 tensors'
    """

    source: str
    found: str
    target: str
    checkpoint: Checkpoint
    tensors: int
    use: str | None = None


def write(checkpoint: Checkpoint, kind: str, path: Path) -> int:
    """Write a checkpoint as one of ``KINDS``, atomically; return the number of tensors.

    Raises:
        ValueError: If the kind cannot represent the checkpoint.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.models import CLIPBackbone
        >>> tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=1, num_attention_heads=1)
        >>> vision = dict(tower, image_size=32, patch_size=16)
        >>> text = dict(tower, vocab_size=99)
        >>> backbone = CLIPBackbone(config=dict(text_config=text, vision_config=vision))
        >>> weights = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(Checkpoint(weights), 'mmclip4clip', Path(folder, 'clip.pth')) == len(weights)
        True
    """
    if kind == 'open_clip':
        return open_clip.write(checkpoint, path)
    with atomic_path(path) as partial:
        if kind == 'transformers':
            return transformers_folder.from_native(checkpoint, partial)
        formats = dict(mmclip4clip=native, openai=openai, reference=reference, mmaction=mmaction)
        content = formats[kind].from_native(checkpoint)
        if kind == 'mmaction':
            content = dict(meta={}, state_dict=content)
        with partial.open('wb') as file:  # torch.save writes the name of a path into the file
            torch.save(content, file)
        return len(content.get('state_dict', content))


def write_merged(content: dict, src: Path, dst: Path) -> Conversion:
    """Write the output of :func:`read_merged`, atomically."""
    weights = content['state_dict']
    with atomic_path(dst) as partial, partial.open('wb') as file:
        torch.save(content, file)
    checkpoint = Checkpoint(weights, notes=[f'merged LoRA into the weights of {src}'])
    found, use = 'trained with LoRA', 'the config of its training, without model.backbone.lora'
    return Conversion('mmclip4clip', found, 'mmclip4clip', checkpoint, len(weights), use)


def check_target(dst: Path, target: str, force: bool) -> None:
    """Check that a destination can be written, see :func:`check_destination`."""
    if target != 'open_clip':
        check_destination(dst, target == 'transformers', transformers_folder.WRITTEN, force)
        return
    folder = not open_clip.is_file_name(dst)
    check_destination(dst, folder, open_clip.WRITTEN, force)
    if not folder:
        check_destination(dst.with_name(open_clip.CONFIG), False, force=force)


def apply_model_config(checkpoint: Checkpoint, source: str, src: Path, model_config: Path | None) -> None:
    """Apply the model config of open_clip of the user or in the folder of the file, if any.

    Raises:
        ValueError: If it contradicts the weights, or the file is not open_clip's.
    """
    if model_config and source not in OPENAI_KEYS:
        raise ValueError(
            f"--model-config is for files with the keys of OpenAI's CLIP or open_clip; {src} is "
            f'{KINDS[source]}'
        )
    if checkpoint.encoder:
        return  # a SigLIP, which was read with it
    known = source not in OPENAI_KEYS or checkpoint.settings.get('vision_config')
    path = model_config or (None if known else open_clip.find_config(src))
    if path:
        open_clip.apply_config(checkpoint, path)


def check_assumptions(checkpoint: Checkpoint, source: str, src: Path) -> None:
    """Note the assumptions about a checkpoint, and raise an error if the file may be open_clip's.

    The reference and mmaction2 always build OpenAI's CLIP, so nothing is assumed about their towers.

    Raises:
        ValueError: If settings are unknown that differ between OpenAI and open_clip; says how to set them.
    """
    assumptions = list_assumptions(checkpoint)
    if checkpoint.origin in OPENAI_ARCHITECTURE:
        assumptions = [
            item for item in assumptions if checkpoint.origin == 'mmaction' and 'adapter' in item.what
        ]
    if source in OPENAI_KEYS and assumptions:
        options = ' '.join(f'{item.option} {item.argument}' for item in assumptions)
        raise ValueError(
            f"{src} has the keys of OpenAI's CLIP, which open_clip uses too. Nothing specifies "
            f"{', '.join(item.what for item in assumptions)}. If it is built like OpenAI's, use {options}. "
            'Models of open_clip need --activation gelu, unless their name contains quickgelu, and some '
            'have other heads: give their model config with --model-config FILE.json, or put it next to '
            'the file as open_clip_config.json'
        )
    checkpoint.notes += [
        f'the checkpoint does not specify {item.what}: {item.value} is assumed; {item.option} changes it'
        for item in assumptions
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
    """Convert a checkpoint from one kind to another.

    Args:
        src (Path): Source, a file, a folder, or a name on the Hugging Face hub. Its keys determine the kind.
        dst (Path): Destination. A file of this package with LoRA may become one without.
        to (str, optional): One of ``KINDS``. By default it depends on the suffix of ``dst``: ``.pth`` is
            this package's, ``.bin`` (or ``.bin.3``) the reference's, ``.pt`` OpenAI's, no suffix a folder
            of transformers. ``'open_clip'`` writes a folder, or for a suffix a file with its config beside.
        head (str, optional): See :func:`reference.find_adapter`.
        clip_only (bool): Drop the adapter, and keep only the middle frame of a 3d patch.
        text_heads (int, optional): Attention heads of the text tower, if the source does not specify it.
        vision_heads (int, optional): Attention heads of the vision tower, if the source does not specify it.
        activation (str, optional): ``'quick_gelu'`` or ``'gelu'``, if the source does not specify it.
        adapter_heads (int, optional): Attention heads of the adapter, if the source does not specify it.
        model_config (Path, optional): Model config of open_clip, for files with the keys of OpenAI's CLIP. By
            default one in the folder of the file, see :func:`open_clip.find_config`.
        force (bool): Whether to replace ``dst`` if it exists.

    Raises:
        FileExistsError: If ``dst`` exists and ``force`` is false.
        ValueError: If the source cannot be read or converted. Then nothing is written.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.models import CLIPBackbone
        >>> tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=1, num_attention_heads=1)
        >>> vision = dict(tower, image_size=32, patch_size=16)
        >>> text = dict(tower, vocab_size=99)
        >>> backbone = CLIPBackbone(config=dict(text_config=text, vision_config=vision))
        >>> weights = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(dict(state_dict=weights), f'{folder}/clip4clip.pth')
        ...     done = convert(Path(folder, 'clip4clip.pth'), Path(folder, 'pytorch_model.bin'))
        >>> done.source, done.target
        ('mmclip4clip', 'reference')
    """
    target = current_name(to) if to else kind_from_suffix(dst)
    check_target(dst, target, force)
    if dst.exists() and src.exists() and dst.samefile(src):
        raise ValueError(f'{src} cannot be converted into itself')
    if target == 'mmclip4clip' and not clip_only and (content := read_merged(src)):
        if any((head, text_heads, vision_heads, activation, adapter_heads, model_config)):
            raise ValueError(f'{src} was trained with LoRA, which is merged: leave out heads and activation')
        return write_merged(content, src, dst)
    src = locate(src)
    source, checkpoint = read_checked(src, head, model_config)
    if head and source != 'reference':
        raise ValueError(f"--head is for the reference's files; {src} is {KINDS[source]}")
    if source == target == 'mmclip4clip' and not clip_only:
        raise ValueError(f'{src} is {KINDS["mmclip4clip"]} already')
    apply_model_config(checkpoint, source, src, model_config)
    checkpoint.set_heads(text=text_heads, vision=vision_heads)
    checkpoint.set_activation(activation)
    checkpoint.set_adapter_heads(adapter_heads)
    check_assumptions(checkpoint, source, src)
    check_shapes(checkpoint, str(src))
    found, unused = summary(checkpoint), checkpoint.unused
    if clip_only:
        checkpoint.drop_adapter()
    if unused and (clip_only or target not in ('mmclip4clip', checkpoint.origin)):
        checkpoint.notes.append(
            f'left out {len(unused)} tensors of {KINDS[checkpoint.origin]} that '
            f'this package does not use: {join_names(unused)}'
        )
    return Conversion(source, found, target, checkpoint, write(checkpoint, target, dst))
