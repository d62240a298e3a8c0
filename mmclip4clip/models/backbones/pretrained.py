"""Loading of a complete dual encoder of ``transformers`` from a local folder or the hub."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import snapshot_download
from mmengine.logging import print_log
from torch import Tensor

from ...hub import load_named
from ...tokenizers.loading import VOCABULARIES, folder_tokenizer
from ..weight_check import compare_weights, rename_layers
from .families import Family, image_size
from .frame_format import FILES, FrameFormat, read_format
from .positions import resize_vision_positions, stretch_text_positions
from .pretrained_folder import WEIGHTS, FolderError, has_weights, read_config, read_weights

TOKENIZER_FILES = (*VOCABULARIES, 'tokenizer_config.json', 'special_tokens_map.json', 'merges.txt')
VISION_POSITIONS = 'vision_model.embeddings.position_embedding.weight'
TEXT_POSITIONS = 'text_model.embeddings.position_embedding.weight'


class Encoder(NamedTuple):
    """A dual encoder of ``transformers``, its family, and the frames that it reads."""

    family: Family
    model: Any
    frame_format: FrameFormat


def load_pretrained(name: str, size: int | None = None, text_length: int | None = None) -> Encoder:
    """Load an encoder in fp32, and log its source, number of tensors and stored precision.

    Args:
        name (str): Local folder, or name on the Hugging Face hub.
        size (int, optional): Height and width of the frames, if they differ from the encoder's. Positions
            are interpolated.
        text_length (int, optional): Number of text positions, if captions are longer than the encoder's. They
            are stretched.

    Raises:
        OSError: If there is no such encoder. Faults of a folder raise its subclass :class:`FolderError`.
    """
    try:
        folder = find_folder(name)
        family, config = read_config(folder)
        tensors = read_weights(folder)
        format = _read_format(folder, family, config)
        tensors = _complete(family, config, tensors, folder)
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
    _set_padding(folder, family, config)
    # Converted here, because the argument for it has other names in transformers 4.
    weights = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    resize(family, config, weights, size, text_length)
    model = family.model_class.from_pretrained(None, config=config, state_dict=weights)
    dtypes = {value.dtype for value in tensors.values() if value.is_floating_point()}
    precisions = sorted(str(dtype).removeprefix('torch.') for dtype in dtypes)
    print_log(
        f'{family.name} from {name}: all {len(model.state_dict())} tensors, none missing, none left over, '
        f'stored in {", ".join(precisions)}' + ('' if Path(name).is_dir() else f' ({folder})'),
        logger='current',
    )
    return Encoder(family, model, format._replace(size=image_size(model.config)[0]))


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
            *FILES,
            *TOKENIZER_FILES,
        ]
        download = functools.partial(snapshot_download, allow_patterns=files)
        folder = Path(load_named(download, name, complete=has_weights))
        if has_weights(folder):
            break
    return folder


def read_frame_format(folder: Path) -> FrameFormat:
    """Read the frames that the encoder in a folder was trained with.

    Raises:
        FolderError: If the folder has no encoder of a known family, or its image processor does not fit.
    """
    family, config = read_config(folder)
    return _read_format(folder, family, config)


def _read_format(folder: Path, family: Family, config: Any) -> FrameFormat:
    height, width = image_size(config)
    if height != width:
        raise FolderError(f'{folder}/config.json has images of {height} x {width} pixels, expected squares')
    try:
        return read_format(folder, family, height)
    except ValueError as error:
        raise FolderError(str(error)) from error


def _set_padding(folder: Path, family: Family, config: Any) -> None:
    """Take the id of padding from the tokenizer, for text towers that read padding.

    Published configs of SigLIP 2 do not have it, and the default of their class is another tokenizer's.
    """
    if family.pooling == 'last':
        return
    try:
        tokenizer = folder_tokenizer(folder)
    except OSError as error:
        print_log(
            f'captions are padded with text_config.pad_token_id={config.text_config.pad_token_id}: {error}',
            logger='current',
        )
        return
    if tokenizer is not None and tokenizer.pad_token_id is not None:
        config.text_config.pad_token_id = tokenizer.pad_token_id


def resize(
    family: Family, config: Any, tensors: dict[str, Tensor], size: int | None, text_length: int | None
) -> None:
    """Change an encoder to another size of frames or length of captions.

    Args:
        family (Family): Its family.
        config (PretrainedConfig): Its config, changed in place.
        tensors (dict[str, Tensor]): Its weights, changed in place.
        size (int, optional): Height and width of the frames.
        text_length (int, optional): Number of text positions.

    Raises:
        ValueError: If the size is not a multiple of the patches', or the text tower's positions cannot be
            stretched.
    """
    old_size, old_length = image_size(config)[0], config.text_config.max_position_embeddings
    set_sizes(family, config, size, text_length)
    if size is not None and size != old_size:
        num_patches, antialias = (
            (size // config.vision_config.patch_size) ** 2,
            family.naflex,
        )
        tensors[VISION_POSITIONS] = resize_vision_positions(tensors[VISION_POSITIONS], num_patches, antialias)
    if text_length is not None and text_length != old_length:
        tensors[TEXT_POSITIONS] = stretch_text_positions(tensors[TEXT_POSITIONS], text_length)


def set_sizes(family: Family, config: Any, size: int | None, text_length: int | None) -> None:
    """Set the size of frames and the length of captions in a config; see :func:`resize`."""
    if size is not None and size != image_size(config)[0]:
        patch = config.vision_config.patch_size
        if size < patch or size % patch:
            raise ValueError(f'image_size={size} is not a multiple of the patches of {patch} pixels')
        patches = family.naflex
        key, value = ('num_patches', (size // patch) ** 2) if patches else ('image_size', size)
        setattr(config.vision_config, key, value)
    positions = config.text_config.max_position_embeddings
    if text_length is not None and text_length != positions:
        if family.pooling != 'last':
            raise ValueError(
                f'text_length={text_length} stretches the positions of a causal text tower; that of '
                f'{family.name} takes {positions} tokens'
            )
        config.text_config.max_position_embeddings = text_length


def _complete(family: Family, config: Any, tensors: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Return exactly the tensors that the config describes.

    Raises:
        FolderError: If keys are missing, unexpected or of another shape, or the config is invalid.
    """
    try:
        with torch.device('meta'):  # only shapes, without memory or random numbers
            expected = family.model_class(config).state_dict()
    except Exception as error:  # odd sizes fail in many ways; the cause is reported
        raise FolderError(f'{folder}/config.json describes no {family.name}: {error!r}') from error
    if all(key.startswith('clip.') for key in tensors):  # a CLIP that transformers saved as a part of a model
        tensors = {key.removeprefix('clip.'): value for key, value in tensors.items()}
    tensors = rename_layers(expected, tensors)
    difference = compare_weights(expected, tensors)
    if difference:
        raise FolderError(
            f'the weights in {folder} are not those of the {family.name} that its config.json describes: '
            f'{difference}'
        )
    return {key: tensors[key] for key in expected}
