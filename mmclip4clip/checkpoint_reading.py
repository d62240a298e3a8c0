"""Read checkpoint files outside of a run, without executing code in them.

The functions apply the patches that they need, so they work before a run starts.
"""

from pathlib import Path
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from .checkpoint_guard import load_plain, readable_errors
from .compat import guard_checkpoints


def load_checkpoint(path: str | Path) -> Any:
    """Verify and load a checkpoint file on the CPU, with the loader of mmengine's runner.

    Args:
        path (str | Path): The file.

    Raises:
        CheckpointFileError: If the file is damaged, not a checkpoint, or contains more than plain values.
        FileNotFoundError: If the file does not exist.

    Examples:
        >>> import tempfile
        >>> import torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(dict(meta=dict(epoch=5)), f'{folder}/epoch_5.pth')
        ...     load_checkpoint(f'{folder}/epoch_5.pth')
        {'meta': {'epoch': 5}}
    """
    guard_checkpoints()
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')


def map_checkpoint(path: str | Path) -> Any:
    """Load a checkpoint file without reading its tensors, which are mapped. Checksums are not verified.

    Args:
        path (str | Path): The file.

    Raises:
        CheckpointFileError: If the file cannot be read.
        OSError: If it cannot be opened.

    Examples:
        >>> import tempfile
        >>> import torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(dict(meta=dict(epoch=5), state_dict={}), f'{folder}/epoch_5.pth')
        ...     map_checkpoint(f'{folder}/epoch_5.pth')['meta']
        {'epoch': 5}
    """
    guard_checkpoints()  # otherwise torch would refuse checkpoints of mmengine
    with readable_errors(str(path)):
        return load_plain(str(path), map_location='cpu', mmap=True)
