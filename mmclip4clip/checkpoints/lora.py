"""Checkpoints of this package that were trained with LoRA, merged into those of the same model without."""

from pathlib import Path
from typing import Any

from torch import Tensor

from ..models.lora_weights import is_lora, merge_lora
from .io import read_file
from .renaming import unwrap

KEPT = ('meta', 'unused', 'decoder_vocabulary')  # beside the weights; the rest is for resuming


def read_merged(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint and merge its LoRA; the adapter and the decoder stay, for encoders of any family.

    Args:
        path (Path): The file.

    Returns:
        dict: ``state_dict`` and what this package noted, without what only resuming needs. None if it is not
        a file of this package with LoRA.

    Raises:
        ValueError: If the LoRA of a layer is incomplete, or does not fit its weight.
    """
    content: Any = read_file(path) if path.is_file() else None
    weights = content.get('state_dict', content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in weights.items()
    ):
        return None
    weights, _ = unwrap(weights)
    if not any(map(is_lora, weights)):
        return None
    kept = {key: content[key] for key in KEPT if key in content}
    meta = kept['meta'] = dict(kept.get('meta') or {})
    if isinstance(record := meta.get('mmclip4clip'), dict):
        meta['mmclip4clip'] = {key: value for key, value in record.items() if key != 'run'}
    return dict(kept, state_dict=merge_lora(weights, str(path)))
