"""The reference's ``pytorch_model.bin`` (github.com/ArrowLuo/CLIP4Clip)."""

from collections.abc import Mapping

from torch import Tensor

from .checkpoint import Checkpoint
from .description import OUR_POSITIONS, REFERENCE_HEADS, adapter_config
from .openai import blocks, clip_rules
from .renaming import Rule, expand, layer, narrow_dtypes, rename_from_native, rename_to_native

POSITIONS, CONV1 = 'frame_position_embeddings.weight', 'clip.visual.conv1.weight'
# By our name of the adapter; the reference's names are in REFERENCE_HEADS.
HEADS = dict(
    MeanAdapter=[],
    SeqLSTMAdapter=[
        Rule(f'lstm_visual.{name}', (f'adapter.lstm.{name}',))
        for name in ('weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0')
    ],
    SeqTransformerAdapter=[
        Rule(POSITIONS, (OUR_POSITIONS,)),
        *blocks('transformerClip.resblocks', 'adapter.transformer.blocks'),
    ],
    TightAdapter=[
        Rule('cross.embeddings.position_embeddings.weight', (OUR_POSITIONS,)),
        *blocks('cross.transformer.resblocks', 'adapter.transformer.blocks'),
        *layer('cross.pooler.ln_pool', 'adapter.pool_norm'),
        *layer('cross.pooler.dense', 'adapter.pool_proj'),
        *layer('similarity_dense', 'adapter.score'),
    ],
)


def rules_of(adapter: str, linear_patch: str) -> list[Rule]:
    """Return the table of a head, with CLIP's."""
    return [*clip_rules('clip.', 'conv2' if linear_patch == '3d' else 'conv1'), *HEADS[adapter]]


def find_adapter(keys: Mapping[str, Tensor], head: str | None, name: str) -> str:
    """Return our name of the head that the keys are of.

    A block ``cross.*`` alone is what the tight head leaves, but also the mean in
    a run without ``--loose_type``; only ``head`` can tell these two apart.

    Args:
        keys (Mapping[str, Tensor]): Their checkpoint.
        head (str, optional): The reference's name, if the user gave it.
        name (str): What errors call the file.

    Raises:
        ValueError: If the keys are of another head than ``head``.
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
        name (str): What errors call the file.
        head (str, optional): See :func:`find_adapter`.

    Raises:
        ValueError: If keys are missing or unknown, or of another head.
    """
    adapter = find_adapter(tensors, head, name)
    linear_patch = '3d' if 'clip.visual.conv2.weight' in tensors else '2d'
    unused = [CONV1] * (linear_patch == '3d') + [POSITIONS] * (adapter == 'SeqLSTMAdapter')
    if adapter != 'TightAdapter' and any(key.startswith(('cross.', 'similarity_dense.')) for key in tensors):
        unused += [rule.source for rule in expand(HEADS['TightAdapter'], tensors, 'source')]
    state_dict = rename_to_native(tensors, rules_of(adapter, linear_patch), name, unused)
    checkpoint = Checkpoint(state_dict, 'reference', narrow_dtypes(tensors), {k: tensors[k] for k in unused})
    if adapter == 'TightAdapter' and head is None:
        checkpoint.notes.append(
            'cross.* is read as the tight head; if meanP was trained without --loose_type, say --head meanP'
        )
    return checkpoint


def check_sizes(checkpoint: Checkpoint) -> None:
    """Compare the adapter with what the reference takes for granted.

    Raises:
        ValueError: If the reference would load only a part of it, or read it otherwise.
    """
    config, positions = adapter_config(checkpoint), checkpoint.state_dict.get(OUR_POSITIONS)
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

    What the reference holds and never uses comes from where the checkpoint came
    from, or else is what it starts from there; notes say so.

    Raises:
        ValueError: If the reference has no such head, or would read it otherwise.
    """
    checkpoint.check_fits_openai('the reference', ('2d', '3d'))
    adapter, tensors = checkpoint.adapter, checkpoint.state_dict
    if adapter not in HEADS:
        raise ValueError(f'the reference has no place for {adapter}: --clip-only leaves it out')
    check_sizes(checkpoint)
    back = checkpoint.origin == 'reference'
    tensors = rename_from_native(
        tensors,
        rules_of(adapter, checkpoint.linear_patch),
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
            checkpoint.notes.append(f'{key}, which the reference holds but does not use, is {what}')
    return {**kept, **tensors}
