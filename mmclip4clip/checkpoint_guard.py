"""Safe replacements for the checkpoint loaders of mmengine, which :mod:`mmclip4clip.compat` installs."""

import contextlib
import logging
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO
from urllib.parse import urlparse

import torch
from mmengine.logging import print_log

from .checkpoint_file import CheckpointFileError, explain_failure, verify_checkpoint
from .safe_config import plain_assignments

FAILURES = (
    pickle.UnpicklingError,
    EOFError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    AssertionError,
    RuntimeError,
    struct.error,
)


@contextlib.contextmanager
def readable_errors(name: str, checksums: bool = True) -> Iterator[None]:
    """Translate errors of loading by :func:`explain_failure`."""
    try:
        yield
    except (CheckpointFileError, torch.cuda.OutOfMemoryError):
        raise
    except FAILURES as error:
        raise explain_failure(name, error, checksums) from None


def refuse_torchscript(file: str | Path | BinaryIO) -> None:
    """Refuse a TorchScript archive, which torch before 2.6 runs in spite of ``weights_only=True``.

    The archive is read by torch's own reader, so that no file looks different to the two.

    Raises:
        RefusedCheckpointError: If it is one.
    """
    with torch.serialization._open_file_like(file, 'rb') as opened:
        position = opened.tell()
        if not torch.serialization._is_zipfile(opened):
            return
        with torch.serialization._open_zipfile_reader(opened) as archive:
            is_program = torch.serialization._is_torchscript_zip(archive)
        opened.seek(position)
    if is_program:
        raise explain_failure(getattr(file, 'name', str(file)), RuntimeError('a TorchScript archive'))


def load_plain(file: str | Path | BinaryIO, *args, **options) -> Any:
    """Load tensors and plain values, with the arguments of ``torch.load``, and run no code of any file."""
    refuse_torchscript(file)
    return torch.load(file, *args, **dict(options, weights_only=True))


class VerifiedTorch(ModuleType):
    """Replacement for ``torch`` in mmengine's loaders that verifies files and runs no code from them."""

    def __getattr__(self, name: str):
        return getattr(torch, name)

    @staticmethod
    def load(file, *args, **options):
        """Verify a file, and load its tensors and plain values."""
        name, checksums = getattr(file, 'name', str(file)), verify_checkpoint(file)
        if not checksums:
            print_log(
                f'{name} is in the format of torch before 1.6, which has no checksums: damaged tensors '
                'would not be noticed',
                logger='current',
                level=logging.WARNING,
            )
        with readable_errors(name, checksums):
            return load_plain(file, *args, **options)


def load_url_verified(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True
) -> object:
    """Replace mmengine's ``load_url``: download, verify, and then load.

    Raises:
        CheckpointFileError: If the file is invalid; names the local file to delete for a new download.
    """
    folder = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    path = folder / Path(urlparse(url).path).name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=progress)
    with readable_errors(url, verify_checkpoint(path)):
        return load_plain(path, map_location=map_location)


def strip_config_code(filename: str, checkpoint: object) -> None:
    """Remove text that mmengine would evaluate as Python from a checkpoint.

    ``meta['config']`` is removed, because ``Runner.resume`` evaluates it for the ``gpu_ids`` of old versions.
    The config texts of current versions keep only plain values, with a warning, so that later
    checkpoints of the run do not contain the rest.
    """
    hub: object = None
    meta: object = None
    if isinstance(checkpoint, dict):
        hub, meta = checkpoint.get('message_hub'), checkpoint.get('meta')
    info = hub.get('runtime_info') if isinstance(hub, dict) else None
    for holder, key, where in ((meta, 'config', 'meta'), (meta, 'cfg', 'meta'), (info, 'cfg', 'message_hub')):
        if not isinstance(holder, dict) or key not in holder:
            continue
        text, others = plain_assignments(holder[key])[1:]
        if others:
            print_log(
                f'{filename}: statements other than plain values in the config text {where}[{key!r}] were '
                f'removed and not run: {"; ".join(others[:3])}',
                'current',
                logging.WARNING,
            )
            holder[key] = text
        if key == 'config':
            del holder[key]


def load_checkpoint_safely(load_checkpoint: Callable) -> Callable:
    """Wrap ``CheckpointLoader.load_checkpoint`` to translate errors and remove code."""

    def load(cls, filename, map_location=None, logger='current'):
        if Path(filename).expanduser().is_dir():  # the message of mmengine is that it does not exist
            verify_checkpoint(filename)
        with readable_errors(filename):
            content = load_checkpoint(filename, map_location, logger)
        strip_config_code(filename, content)
        return content

    return load


def require_config(init_model: Callable) -> Callable:
    """Wrap ``BaseInferencer._init_model`` so that it needs a config from the user."""

    def init(self, cfg, weights, device='cpu'):
        if not cfg:
            raise ValueError(
                f'give the config of {weights} as model=CONFIG: the text in the checkpoint is '
                'not evaluated, as it could run code'
            )
        return init_model(self, cfg, weights, device)

    return init
