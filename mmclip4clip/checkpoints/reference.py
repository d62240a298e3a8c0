"""The reference's ``pytorch_model.bin`` (github.com/ArrowLuo/CLIP4Clip)."""

from collections.abc import Mapping

from torch import Tensor

from .checkpoint import Checkpoint
from .description import NATIVE_POSITIONS, REFERENCE_HEADS, adapter_config
from .openai import block_rules, clip_rules
from .renaming import Rule, expand, layer_rules, narrow_dtypes, rename_from_native, rename_to_native

POSITIONS, CONV1 = 'frame_position_embeddings.weight', 'clip.visual.conv1.weight'
# By the adapter class of this package; the names of the reference are in REFERENCE_HEADS.
HEADS = dict(
    MeanAdapter=[],
    SeqLSTMAdapter=[
        Rule(f'lstm_visual.{name}', (f'adapter.lstm.{name}',))
        for name in ('weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0')
    ],
    SeqTransformerAdapter=[
        Rule(POSITIONS, (NATIVE_POSITIONS,)),
        *block_rules('transformerClip.resblocks', 'adapter.transformer.blocks'),
    ],
    TightAdapter=[
        Rule('cross.embeddings.position_embeddings.weight', (NATIVE_POSITIONS,)),
        *block_rules('cross.transformer.resblocks', 'adapter.transformer.blocks'),
        *layer_rules('cross.pooler.ln_pool', 'adapter.pool_norm'),
        *layer_rules('cross.pooler.dense', 'adapter.pool_proj'),
        *layer_rules('similarity_dense', 'adapter.score'),
    ],
)


def key_rules(adapter: str, linear_patch: str) -> list[Rule]:
    """Return the rules of CLIP and an adapter."""
    return [*clip_rules('clip.', 'conv2' if linear_patch == '3d' else 'conv1'), *HEADS[adapter]]


def has_head(checkpoint: Checkpoint) -> bool:
    """Return whether the reference has the adapter of a checkpoint, in the same variant."""
    if checkpoint.adapter == 'TightAdapter':
        return checkpoint.tight_variant == 'reference'
    return checkpoint.adapter in HEADS


def find_adapter(keys: Mapping[str, Tensor], head: str | None, name: str) -> str:
    """Return the adapter class for the keys of a checkpoint.

    Both the tight head and the mean without ``--loose_type`` have keys ``cross.*``. Only ``head`` can
    distinguish them.

    Args:
        keys (Mapping[str, Tensor]): State dict of the checkpoint.
        head (str, optional): Name of the head in the reference, if the user gave it.
        name (str): Name of the file in error messages.

    Raises:
        ValueError: If the keys belong to another head than ``head``.
    """
    marks = dict(
        SeqLSTMAdapter='lstm_visual.',
        SeqTransformerAdapter='transformerClip.',
        TightAdapter='cross.',
        MeanAdapter='clip.',
    )
    found = next(adapter for adapter, mark in marks.items() if any(key.startswith(mark) for key in keys))
    if head == 'meanP' and found == 'TightAdapter':
        return 'MeanAdapter'
    if head not in (None, REFERENCE_HEADS[found]):
        raise ValueError(f'{name} has the keys of {REFERENCE_HEADS[found]}, not of --head {head}')
    return found


def to_native(tensors: Mapping[str, Tensor], name: str, head: str | None = None) -> Checkpoint:
    """Read a state dict of the reference, of any head, with a 2d or a 3d patch.

    Args:
        tensors (Mapping[str, Tensor]): State dict.
        name (str): Name of the file in error messages.
        head (str, optional): See :func:`find_adapter`.

    Raises:
        ValueError: If keys are missing or unknown, or belong to another head.
    """
    adapter = find_adapter(tensors, head, name)
    linear_patch = '3d' if 'clip.visual.conv2.weight' in tensors else '2d'
    unused = [CONV1] * (linear_patch == '3d') + [POSITIONS] * (adapter == 'SeqLSTMAdapter')
    if adapter != 'TightAdapter' and any(key.startswith(('cross.', 'similarity_dense.')) for key in tensors):
        unused += [rule.source for rule in expand(HEADS['TightAdapter'], tensors, 'source')]
    state_dict = rename_to_native(tensors, key_rules(adapter, linear_patch), name, unused)
    checkpoint = Checkpoint(state_dict, 'reference', narrow_dtypes(tensors), {k: tensors[k] for k in unused})
    if adapter == 'TightAdapter' and head is None:
        checkpoint.notes.append(
            'cross.* is read as the tight head; if meanP was trained without --loose_type, use --head meanP'
        )
    return checkpoint


def check_sizes(checkpoint: Checkpoint) -> None:
    """Check the sizes of the adapter that the reference hard-codes.

    Raises:
        ValueError: If the reference would load only part of it, or interpret it differently.
    """
    config, positions = adapter_config(checkpoint), checkpoint.state_dict.get(NATIVE_POSITIONS)
    text = checkpoint.clip_config()['text_config']
    if positions is None:
        return
    if len(positions) != text['max_position_embeddings']:
        raise ValueError(
            f'the reference has as many positions of frames as of text, '
            f'{text["max_position_embeddings"]}; {config["type"]} has {len(positions)}'
        )
    if config['num_heads'] != config['width'] // 64:
        raise ValueError(
            f'the reference has one attention head every 64 channels; {config["type"]} has '
            f'{config["num_heads"]} for {config["width"]}'
        )


def from_native(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Write the state dict that the reference's ``--init_model`` takes.

    Tensors that the reference saves but does not use are those of the original file, or the reference's
    initial values, with a note.

    Raises:
        ValueError: If the reference has no such head, or would interpret it differently.
    """
    checkpoint.check_openai_compatible('the reference', ('2d', '3d'))
    adapter, tensors = checkpoint.adapter, checkpoint.state_dict
    if not has_head(checkpoint):
        variant = f" with variant='{checkpoint.tight_variant}'" * (adapter == 'TightAdapter')
        raise ValueError(f'the reference has no place for {adapter}{variant}: --clip-only leaves it out')
    check_sizes(checkpoint)
    back = checkpoint.origin == 'reference'
    tensors = rename_from_native(
        tensors,
        key_rules(adapter, checkpoint.linear_patch),
        'the checkpoint',
        checkpoint.dtypes if back else {},
    )
    started = {}
    if checkpoint.linear_patch == '3d':
        conv2 = tensors['clip.visual.conv2.weight']
        started[CONV1] = conv2[:, :, 1].clone(), 'the middle frame of the 3d patch'
    if adapter == 'SeqLSTMAdapter':
        started[POSITIONS] = tensors['clip.positional_embedding'].clone(), "CLIP's text positions"
    kept = checkpoint.unused if back else {}
    for key, (value, what) in started.items():
        if key not in kept:
            tensors[key] = value
            checkpoint.notes.append(f'{key}, which the reference saves but does not use, is {what}')
    return {**kept, **tensors}
