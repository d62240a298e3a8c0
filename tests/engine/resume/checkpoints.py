"""Small checkpoint files, and runners that have only what is asked of them."""

from pathlib import Path

import torch


def write_checkpoint(path: Path, epoch: int, iterations: int, **parts) -> Path:
    """Save what a training of two iterations an epoch saves, or part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hub = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    torch.save(
        {
            **dict(
                meta=dict(epoch=epoch, iter=iterations),
                state_dict=dict(w=torch.ones(2000)),
                message_hub=hub,
                optimizer=dict(state={}, param_groups=[]),
            ),
            **parts,
        },
        path,
    )
    return path


def flip_bit(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
