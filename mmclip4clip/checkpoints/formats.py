"""Kinds of checkpoint files, and how to recognize them."""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from mmengine.logging import print_log

from .open_clip.keys import has_text_module, is_siglip, refuse_unsupported
from .renaming import join_names

KINDS = dict(
    mmclip4clip='a checkpoint of mmclip4clip',
    openai="OpenAI's CLIP",
    open_clip='a model of open_clip',
    transformers='a folder of transformers',
    reference="the reference's pytorch_model.bin",
    mmaction="mmaction2's CLIPSimilarity",
)
SUFFIXES = (
    (r'.*\.pth', 'mmclip4clip'),
    (r'.*\.pt', 'openai'),
    (r'.*\.bin(\.[\w.]+)?', 'reference'),
    (r'[^.]+', 'transformers'),
)


def current_name(kind: str, warn: bool = True) -> str:
    """Return the current name of a kind, which may be given by its name in an earlier version.

    Args:
        kind (str): Name from a user or a checkpoint.
        warn (bool): Whether to log a warning about an old name.
    """
    if kind != 'ours':
        return kind
    if warn:
        print_log("the kind 'ours' is called 'mmclip4clip' now", logger='current', level=logging.WARNING)
    return 'mmclip4clip'


def kind_from_suffix(path: Path) -> str:
    """Return the kind for the suffix of a path, see :func:`convert`.

    Raises:
        ValueError: If no kind has this suffix.
    """
    for pattern, kind in SUFFIXES:
        if re.fullmatch(pattern, path.name, re.IGNORECASE):
            return kind
    raise ValueError(
        f'the suffix of {path} does not determine the kind: use --to with one of ' + ', '.join(KINDS)
    )


def recognize(keys: Iterable[str], wrapped: bool, name: str) -> str:
    """Recognize the kind of a file by its keys.

    With mean pooling, the reference and mmaction2 have the same keys, but mmengine saves the state dict as an
    entry of a larger dict.

    Args:
        keys (Iterable[str]): Keys of the state dict.
        wrapped (bool): Whether the state dict is an entry ``state_dict`` of the file.
        name (str): Name of the file in error messages.

    Returns:
        str: One of ``KINDS``.

    Raises:
        ValueError: If the kind is unknown; lists keys.

    Examples:
        >>> recognize(['clip.visual.proj'], wrapped=False, name='pytorch_model.bin')
        'reference'
    """
    keys = list(keys)

    def some(*starts: str) -> bool:
        return any(key.startswith(starts) for key in keys)

    refuse_unsupported(keys, name)
    if some('backbone.clip.'):
        return 'mmclip4clip'
    if some('clip.visual.'):
        return 'mmaction' if wrapped or some('adapter.', 'data_preprocessor.') else 'reference'
    if is_siglip(keys) or (some('visual.') and has_text_module(keys)):
        return 'open_clip'
    if some('visual.') and some('transformer.resblocks.'):
        return 'openai'
    hint = (
        '; for a CLIP of transformers give the folder, which has its config.json'
        if some('text_model.', 'vision_model.')
        else ''
    )
    raise ValueError(
        f'{name} is not one of: {", ".join(KINDS.values())}. Its {len(keys)} keys: {join_names(keys)}{hint}'
    )
