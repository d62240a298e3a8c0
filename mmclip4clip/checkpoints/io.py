import contextlib
import os
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..checkpoint_file import verify_checkpoint
from ..checkpoint_reading import load_checkpoint


def is_torchscript(path: Path) -> bool:
    """Tell a TorchScript archive from what ``torch.save`` writes."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return any(name.endswith('/constants.pkl') for name in names) and any('/code/' in name for name in names)


def read_file(path: Path) -> object:
    """Read what a checkpoint file holds, in fp16 or whatever it was saved in, on the CPU.

    Files of ``torch.save`` are read with ``weights_only=True``: tensors and plain
    values, and nothing in them is run. A TorchScript archive, as OpenAI publishes
    its weights, is a program, and reading it may run parts of that program with
    your rights: convert only archives whose origin you trust.

    Args:
        path (Path): The file.

    Returns:
        What was saved; of an archive, the state dict.

    Raises:
        CheckpointFileError: If the file is damaged, no checkpoint, or needs more than plain values.
    """
    if path.suffix == '.safetensors':
        try:
            return load_file(path)
        except SafetensorError as error:
            raise RuntimeError(f'{path} is broken: {error}') from error
    verify_checkpoint(path)
    if not is_torchscript(path):
        return load_checkpoint(path.resolve())
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # OpenAI's files are what they are
        return dict(torch.jit.load(str(path), map_location='cpu').state_dict())


def check_destination(path: Path, folder: bool, known: tuple = (), force: bool = False) -> None:
    """Refuse a place that is taken, before any work is done.

    Args:
        path (Path): Where a checkpoint is to be written.
        folder (bool): Whether that is a folder.
        known (tuple[str, ...]): File names that a folder may have to be replaced.
        force (bool): Whether the user asked for what is there to be replaced.

    Raises:
        FileExistsError: If something is there that must not be replaced.
        FileNotFoundError: If there is no folder to write it in.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f'there is no folder {path.parent} to write {path.name} in')
    if not path.exists():
        return
    if not force:
        raise FileExistsError(f'{path} exists: --force replaces it')
    if path.is_dir() != folder:
        raise FileExistsError(
            f'{path} is a {"folder" if path.is_dir() else "file"} and is not replaced by a '
            f'{"folder" if folder else "file"}'
        )
    others = [p.name for p in path.iterdir() if p.name not in known] if folder else []
    if others:
        raise FileExistsError(f'{path} is not replaced, for it also holds {", ".join(sorted(others)[:6])}')


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a name to write to, and move it to ``path`` once it is written without an error."""
    partial, old = (path.with_name(f'.{path.name}.{os.getpid()}.{end}') for end in ('partial', 'old'))
    try:
        yield partial
        if path.is_dir():
            path.rename(old)
        partial.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for left in (partial, old):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)
