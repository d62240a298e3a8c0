"""Which kind of checkpoint a file is, or is to be."""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from mmengine.logging import print_log

from .open_clip import refuse_unsupported
from .renaming import shorten

KINDS = dict(
    mmclip4clip='a checkpoint of mmclip4clip',
    openai="OpenAI's CLIP",
    transformers='a CLIP folder of transformers',
    reference="the reference's pytorch_model.bin",
    mmaction="mmaction2's CLIPSimilarity",
)
ENDINGS = (
    (r'.*\.pth', 'mmclip4clip'),
    (r'.*\.pt', 'openai'),
    (r'.*\.bin(\.[\w.]+)?', 'reference'),
    (r'[^.]+', 'transformers'),
)


def current_name(kind: str, warn: bool = True) -> str:
    """Return the name of a kind, also of one that had another name in an earlier version.

    Args:
        kind (str): A name as users or checkpoints give it.
        warn (bool): Whether to log the new name of an old one.
    """
    if kind != 'ours':
        return kind
    if warn:
        print_log("the kind 'ours' is called 'mmclip4clip' now", logger='current', level=logging.WARNING)
    return 'mmclip4clip'


def kind_by_name(path: Path) -> str:
    """Tell from a file's ending what is to be written, as :func:`convert` says.

    Raises:
        ValueError: If the ending stands for nothing.
    """
    for pattern, kind in ENDINGS:
        if re.fullmatch(pattern, path.name):
            return kind
    raise ValueError(
        f'the ending of {path} does not tell what to write: say --to with one of ' + ', '.join(KINDS)
    )


def recognize(keys: Iterable[str], wrapped: bool, name: str) -> str:
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

    refuse_unsupported(keys, name)
    if some('backbone.clip.'):
        return 'mmclip4clip'
    if some('clip.visual.'):
        return 'mmaction' if wrapped or some('adapter.', 'data_preprocessor.') else 'reference'
    if some('visual.') and some('transformer.resblocks.'):
        return 'openai'
    hint = (
        '; for a CLIP of transformers give the folder, which has its config.json'
        if some('text_model.', 'vision_model.')
        else ''
    )
    raise ValueError(
        f'{name} is none of: {", ".join(KINDS.values())}. It has {len(keys)} keys: {shorten(keys)}{hint}'
    )
