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
    """Return whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return any(name.endswith('/constants.pkl') for name in names) and any('/code/' in name for name in names)


def read_file(path: Path) -> object:
    """Read a checkpoint file on the CPU, in the precision in which it was saved.

    Files of ``torch.save`` are read with ``weights_only=True``, which allows only tensors and plain values
    and runs no code. OpenAI publishes its weights as TorchScript archives, which are programs. Reading one
    may run parts of that program with your rights, so convert only archives from a source that you trust.

    Args:
        path (Path): The file.

    Returns:
        The saved object; for a TorchScript archive, its state dict.

    Raises:
        CheckpointFileError: If the file is damaged, not a checkpoint, or contains more than plain values.
    """
    if path.suffix.lower() == '.safetensors':
        try:
            return load_file(path)
        except SafetensorError as error:
            raise RuntimeError(f'{path} is broken: {error}') from error
    verify_checkpoint(path)
    if not is_torchscript(path):
        return load_checkpoint(path.resolve())
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # torch deprecates the format of OpenAI's files
        return dict(torch.jit.load(str(path), map_location='cpu').state_dict())


def check_destination(path: Path, folder: bool, known: tuple = (), force: bool = False) -> None:
    """Check that a checkpoint can be written to a path, before any work is done.

    Args:
        path (Path): Destination.
        folder (bool): Whether a folder will be written.
        known (tuple[str, ...]): File names that a folder may contain to be replaced.
        force (bool): Whether to replace an existing file or folder.

    Raises:
        FileExistsError: If the path exists and must not be replaced.
        FileNotFoundError: If the parent folder does not exist.
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
        raise FileExistsError(
            f'{path} is not replaced, because it also contains {", ".join(sorted(others)[:6])}'
        )


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and rename it to ``path`` if there was no error."""
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
