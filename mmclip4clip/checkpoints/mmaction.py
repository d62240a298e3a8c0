"""mmaction2's ``CLIPSimilarity`` (github.com/open-mmlab/mmaction2, v1.1.0 and v1.2.0)."""

from collections.abc import Mapping

from torch import Tensor

from .checkpoint import Checkpoint
from .openai import block_rules, clip_rules
from .renaming import Rule, narrow_dtypes, rename_from_native, rename_to_native

HEADS = dict(
    MeanAdapter=[],
    SeqTransformerAdapter=[
        Rule('adapter.positional_embedding', ('adapter.transformer.positions.weight',)),
        *block_rules('adapter.transformer.resblocks', 'adapter.transformer.blocks'),
    ],
)
DIFFERENCES = dict(
    MeanAdapter='mmaction2 averages frames before they are normalized, MeanAdapter after',
    SeqTransformerAdapter='mmaction2 averages frames before they are normalized, SeqTransformerAdapter '
    "after; its blocks' norms have eps 1e-5 instead of 1e-12, and it takes exactly num_segs frames",
)


def key_rules(adapter: str) -> list:
    """Return the rules of CLIP and an adapter."""
    return [*clip_rules('clip.'), *HEADS[adapter]]


def to_native(tensors: Mapping[str, Tensor], name: str, adapter: dict = {}) -> Checkpoint:
    """Read the state dict of a ``CLIPSimilarity`` with either of its adapters.

    Args:
        tensors (Mapping[str, Tensor]): State dict.
        name (str): Name of the file in error messages.
        adapter (dict): Config of the adapter, if the file has it.

    Raises:
        ValueError: If keys are missing or unknown.
    """
    adapter_type = (
        'SeqTransformerAdapter' if any(k.startswith('adapter.') for k in tensors) else 'MeanAdapter'
    )
    unused = {key: value for key, value in tensors.items() if key.startswith('data_preprocessor.')}
    checkpoint = Checkpoint(
        rename_to_native(tensors, key_rules(adapter_type), name, unused),
        'mmaction',
        narrow_dtypes(tensors),
        unused,
        notes=[DIFFERENCES[adapter_type]],
    )
    if adapter.get('transformer_heads'):
        checkpoint.settings['adapter'] = dict(type=adapter_type, num_heads=adapter['transformer_heads'])
    return checkpoint


def from_native(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Write the state dict of a ``CLIPSimilarity``.

    Raises:
        ValueError: If mmaction2 has no such adapter, or would interpret it differently.
    """
    checkpoint.check_openai_compatible("mmaction2's CLIPSimilarity")
    adapter = checkpoint.adapter
    if adapter not in HEADS:
        raise ValueError(f'mmaction2 has no place for {adapter}: --clip-only leaves it out')
    if DIFFERENCES[adapter] not in checkpoint.notes:
        checkpoint.notes.append(DIFFERENCES[adapter])
    back = checkpoint.origin == 'mmaction'
    tensors = rename_from_native(
        checkpoint.state_dict, key_rules(adapter), 'the checkpoint', checkpoint.dtypes if back else {}
    )
    return {**tensors, **(checkpoint.unused if back else {})}
