"""Files beside the weights in a folder of ``transformers``: the image processor and the tokenizer."""

import json
from pathlib import Path
from typing import Any

from ..models.backbones.families import Family
from ..models.backbones.frame_format import INTERPOLATIONS, FrameFormat, known_format
from ..tokenizers.loading import folder_tokenizer
from ..tokenizers.saved_tokenizer import CAPTIONS, pack_tokenizer, unpack_tokenizer

PROCESSOR = 'preprocessor_config.json'
# Names of the files of a tokenizer that a converter may replace.
TOKENIZER_FILES = (
    'tokenizer.json',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'added_tokens.json',
    'vocab.json',
    'vocab.txt',
    'merges.txt',
    'spiece.model',
    'sentencepiece.bpe.model',
    'tokenizer.model',
)


def read_tokenizer(folder: Path) -> tuple[dict[str, dict], list[str]]:
    """Read the tokenizer of a folder, without running code from it.

    Returns:
        tuple[dict[str, dict], list[str]]: Output of :func:`pack_tokenizer` by role, empty if there is none,
        and notes for the user.
    """
    try:
        tokenizer = folder_tokenizer(folder)
        return {} if tokenizer is None else {CAPTIONS: pack_tokenizer(tokenizer)}, []
    except OSError as error:
        return {}, [f'left out the tokenizer: {error}']


def known_tokenizers(saved: Any) -> dict[str, dict]:
    """Return the tokenizer of captions from the entry of a checkpoint; empty if it has none."""
    if not isinstance(saved, dict) or not isinstance(saved.get(CAPTIONS), dict):
        return {}
    return {CAPTIONS: saved[CAPTIONS]}


def write_tokenizer(tokenizers: dict[str, dict], folder: Path) -> list[str]:
    """Write the tokenizer of captions, if there is one; return notes for the user."""
    if CAPTIONS not in tokenizers:
        return []
    try:
        unpack_tokenizer(tokenizers[CAPTIONS]).save_pretrained(folder)
    except OSError as error:
        return [f'left out the tokenizer: {error}']
    return []


def write_image_processor(format: dict[str, Any], family: Family, config: Any, folder: Path) -> None:
    """Write ``preprocessor_config.json``.

    Args:
        format (dict): Fields of :class:`FrameFormat`.
        family (Family): Family of the encoder.
        config (PretrainedConfig): Its config.
        folder (Path): Folder of the encoder.
    """
    frames = FrameFormat(**known_format(format, 'the checkpoint'))
    square = dict(height=frames.size, width=frames.size)
    if family.naflex:
        vision = config.vision_config
        name, size = 'Siglip2', dict(patch_size=vision.patch_size, max_num_patches=vision.num_patches)
    elif not frames.keep_ratio:
        name, size = 'Siglip' if family.model_type == 'siglip' else 'CLIP', dict(size=square)
    else:
        name = 'ChineseCLIP' if family.model_type == 'chinese_clip' else 'CLIP'
        size = dict(size=dict(shortest_edge=frames.size), crop_size=square)
    if name != 'Siglip2':
        size['do_center_crop'] = frames.keep_ratio
    content = dict(
        image_processor_type=f'{name}ImageProcessor',
        do_resize=True,
        **size,
        resample=next(number for number, mode in INTERPOLATIONS.items() if mode == frames.interpolation),
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=in_unit_range(frames.mean),
        image_std=in_unit_range(frames.std),
        do_convert_rgb=True,
    )
    (folder / PROCESSOR).write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def in_unit_range(values: tuple[float, ...]) -> list[float]:
    """Return a mean or standard deviation in 0 to 1 instead of 0 to 255, which multiplied gives the same."""
    return [next(x for x in (round(v / 255, 12), v / 255) if 255 * x == v or x == v / 255) for v in values]
