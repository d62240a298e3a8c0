"""OpenAI's CLIP (github.com/openai/CLIP): its keys, on which other kinds build."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .checkpoint import NOT_IN_SHAPES, Checkpoint
from .renaming import Rule, layer_rules, narrow_dtypes, rename_from_native, rename_to_native

PROJECTIONS = ('q_proj', 'k_proj', 'v_proj')
BLOCK = (
    *(
        Rule(f'attn.in_proj_{end}', tuple(f'self_attn.{p}.{end}' for p in PROJECTIONS))
        for end in ('weight', 'bias')
    ),
    *layer_rules('attn.out_proj', 'self_attn.out_proj'),
    *layer_rules('ln_1', 'layer_norm1'),
    *layer_rules('ln_2', 'layer_norm2'),
    *layer_rules('mlp.c_fc', 'mlp.fc1'),
    *layer_rules('mlp.c_proj', 'mlp.fc2'),
)


def block_rules(source: str, native: str) -> list[Rule]:
    """Return the rules of a stack of OpenAI's residual attention blocks."""
    return [rule.under(f'{source}.{{}}.', f'{native}.{{}}.') for rule in BLOCK]


# OpenAI's keys and those of transformers' CLIPModel. The key of the patch projection depends on 2d or 3d.
CLIP = (
    Rule('logit_scale', ('logit_scale',)),
    Rule('token_embedding.weight', ('text_model.embeddings.token_embedding.weight',)),
    Rule('positional_embedding', ('text_model.embeddings.position_embedding.weight',)),
    *block_rules('transformer.resblocks', 'text_model.encoder.layers'),
    *layer_rules('ln_final', 'text_model.final_layer_norm'),
    Rule('text_projection', ('text_projection.weight',), transposed=True),
    Rule('visual.class_embedding', ('vision_model.embeddings.class_embedding',)),
    Rule('visual.positional_embedding', ('vision_model.embeddings.position_embedding.weight',)),
    *layer_rules('visual.ln_pre', 'vision_model.pre_layrnorm'),  # the misspelling is transformers'
    *block_rules('visual.transformer.resblocks', 'vision_model.encoder.layers'),
    *layer_rules('visual.ln_post', 'vision_model.post_layernorm'),
    Rule('visual.proj', ('visual_projection.weight',), transposed=True),
)
PATCH = 'vision_model.embeddings.patch_embedding.weight'
# Entries for sizes in the state dict of OpenAI's TorchScript archives.
SIZES = ('input_resolution', 'context_length', 'vocab_size')


def clip_rules(source: str = '', conv: str = 'conv1') -> list[Rule]:
    """Return the rules of both towers, with prefixed source keys; ``conv`` names the patch projection."""
    rules = (*CLIP, Rule(f'visual.{conv}.weight', (PATCH,)))
    return [rule.under(source, 'backbone.clip.') for rule in rules]


def to_native(tensors: Mapping[str, Tensor], name: str) -> Checkpoint:
    """Read OpenAI's CLIP with a vision transformer, or another CLIP with the same keys.

    Only OpenAI's archives have entries for sizes. With them, heads and activation are OpenAI's; without them,
    the settings stay empty.

    Args:
        tensors (Mapping[str, Tensor]): State dict.
        name (str): Name of the file in error messages.

    Raises:
        ValueError: If keys are missing or unknown, or the entries for sizes contradict the weights.
    """
    unused = {key: tensors[key] for key in SIZES if key in tensors}
    checkpoint = Checkpoint(
        rename_to_native(tensors, clip_rules(), name, unused), 'openai', narrow_dtypes(tensors), unused
    )
    if unused:
        sizes = size_entries(checkpoint)
        wrong = [
            f'{key} is {value.tolist()}, the weights have {int(sizes[key])}'
            for key, value in unused.items()
            if value.tolist() != sizes[key].tolist()
        ]
        if wrong:
            raise ValueError(f'{name} contradicts itself: {"; ".join(wrong)}')
        checkpoint.settings.update(openai_settings(checkpoint))
    return checkpoint


def openai_settings(checkpoint: Checkpoint) -> dict[str, dict]:
    """Return the settings that OpenAI's code hard-codes, as ``Checkpoint.settings`` of both towers."""
    return {
        tower: dict(
            num_attention_heads=max(1, sizes['hidden_size'] // 64),
            hidden_act='quick_gelu',
            layer_norm_eps=1e-5,
        )
        for tower, sizes in checkpoint.sizes().items()
        if tower in NOT_IN_SHAPES
    }


def size_entries(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the entries for sizes in OpenAI's archives, which ``clip.load`` removes."""
    sizes = checkpoint.sizes()
    text = sizes['text_config']
    values = (sizes['vision_config']['image_size'], text['max_position_embeddings'], text['vocab_size'])
    return {key: torch.tensor(value) for key, value in zip(SIZES, values)}


def from_native(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Write the state dict that ``clip.load`` takes.

    It gets OpenAI's entries for sizes, which distinguish it from open_clip's files, unless it was read from a
    file without them.

    Raises:
        ValueError: If the checkpoint cannot be represented as OpenAI's CLIP.
    """
    checkpoint.check_openai_compatible("OpenAI's CLIP")
    if checkpoint.adapter != 'MeanAdapter':
        raise ValueError(f"OpenAI's CLIP has no place for {checkpoint.adapter}: --clip-only leaves it out")
    back = checkpoint.origin == 'openai'
    tensors = rename_from_native(
        checkpoint.state_dict, clip_rules(), 'the checkpoint', checkpoint.dtypes if back else {}
    )
    return {**tensors, **(checkpoint.unused if back else size_entries(checkpoint))}
