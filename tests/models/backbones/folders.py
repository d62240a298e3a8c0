"""Changes to a folder of transformers."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def change_weights(folder: Path, change: Callable[[dict], dict], name: str = 'model.safetensors') -> None:
    """Replace the weights, in a file of another name if one is given."""
    weights = change(load_file(folder / 'model.safetensors'))
    (folder / 'model.safetensors').unlink()
    save = torch.save if name.endswith('.bin') else lambda w, p: save_file(w, p, metadata=dict(format='pt'))
    save(weights, folder / name)


def change_config(folder: Path, **changes) -> None:
    """Replace values of ``config.json``."""
    path = folder / 'config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
