"""Reading checkpoint files outside of a run, also where no run has patched mmengine yet.

Tensors and plain values are read, and nothing is run.
"""

from pathlib import Path
from typing import Any

import torch
from mmengine.runner.checkpoint import CheckpointLoader

from .checkpoint_file import CheckpointFileError
from .checkpoint_guard import FAILURES
from .compat import guard_checkpoints


def load_checkpoint(path: str | Path) -> Any:
    """Load a checkpoint file on the CPU, verified, by the loader that mmengine's runner uses.

    Args:
        path (str | Path): The file.

    Raises:
        CheckpointFileError: If the file is damaged, no checkpoint, or holds more than plain values.
        FileNotFoundError: If there is no such file.
    """
    guard_checkpoints()
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu', logger='silent')


def map_checkpoint(path: str | Path) -> Any:
    """Load what is small of a checkpoint file, and leave the tensors in the file. Nothing is verified.

    Args:
        path (str | Path): The file.

    Raises:
        CheckpointFileError: If the file cannot be read.
        OSError: If it cannot be opened.
    """
    guard_checkpoints()  # or what mmengine saves would be refused
    try:
        return torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except FAILURES as error:
        raise CheckpointFileError(f'{path} cannot be read: {str(error).splitlines()[0]}') from None
