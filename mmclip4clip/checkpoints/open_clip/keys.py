"""The keys of open_clip's models: OpenAI's, those with the text tower as a module, and SigLIP's."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..openai import block_rules
from ..renaming import Rule, layer_rules

# By a key that only they have; the first match counts.
UNSUPPORTED = (
    (r'visual\.trunk\.', 'a CLIP with an image tower of timm'),
    (r'logit_bias$', "a CLIP that was trained with SigLIP's loss"),
    (r'text_decoder\.|text\.cls_emb$', 'a CoCa'),
    (r'visual\.(blocks\.|cls_token$)', 'an EVA-CLIP'),
    (r'text\.(proj\.|pooler\.|transformer\.(?!resblocks\.))', 'a CLIP with a text tower of transformers'),
    (r'visual\.attn_pool', 'a CLIP with attentional pooling'),
    (r'((visual|text)\.)?transformer\.resblocks\.\d+\.ls_[12]\.', 'a CLIP with layer scale'),
    (r'visual\.layer1\.', 'a CLIP with a ResNet'),
)
TRUNK, POOL = 'visual.trunk.', 'visual.trunk.attn_pool.'
QUERY, KEYS_AND_VALUES, ALL = f'{POOL}q.', f'{POOL}kv.', f'{POOL}qkv.'
POSITIONS, SCALARS = f'{TRUNK}pos_embed', ('logit_scale', 'logit_bias')
TEXT = 'text.'
TIMM_BLOCK = (
    *layer_rules('norm1', 'layer_norm1'),
    *(
        Rule(f'attn.qkv.{end}', tuple(f'self_attn.{p}_proj.{end}' for p in 'qkv'))
        for end in ('weight', 'bias')
    ),
    *layer_rules('attn.proj', 'self_attn.out_proj'),
    *layer_rules('norm2', 'layer_norm2'),
    *layer_rules('mlp.fc1', 'mlp.fc1'),
    *layer_rules('mlp.fc2', 'mlp.fc2'),
)
# Keys of a SigLIP after fold_siglip, and those of SiglipModel.
SIGLIP = (
    *(Rule(key, (key,)) for key in SCALARS),
    Rule('text.token_embedding.weight', ('text_model.embeddings.token_embedding.weight',)),
    Rule('text.positional_embedding', ('text_model.embeddings.position_embedding.weight',)),
    *block_rules('text.transformer.resblocks', 'text_model.encoder.layers'),
    *layer_rules('text.ln_final', 'text_model.final_layer_norm'),
    *layer_rules('text.text_projection', 'text_model.head'),
    *layer_rules(f'{TRUNK}patch_embed.proj', 'vision_model.embeddings.patch_embedding'),
    Rule(POSITIONS, ('vision_model.embeddings.position_embedding.weight',)),
    *(rule.under(f'{TRUNK}blocks.{{}}.', 'vision_model.encoder.layers.{}.') for rule in TIMM_BLOCK),
    *layer_rules(f'{TRUNK}norm', 'vision_model.post_layernorm'),
    Rule(f'{POOL}latent', ('vision_model.head.probe',)),
    *(Rule(f'{ALL}{end}', (f'vision_model.head.attention.in_proj_{end}',)) for end in ('weight', 'bias')),
    *layer_rules(f'{POOL}proj', 'vision_model.head.attention.out_proj'),
    *layer_rules(f'{POOL}norm', 'vision_model.head.layernorm'),
    *layer_rules(f'{POOL}mlp.fc1', 'vision_model.head.mlp.fc1'),
    *layer_rules(f'{POOL}mlp.fc2', 'vision_model.head.mlp.fc2'),
)


def is_siglip(keys: Iterable[str]) -> bool:
    """Return whether keys are those of a SigLIP."""
    keys = set(keys)
    return f'{POOL}latent' in keys and any(key.startswith('text.transformer.resblocks.') for key in keys)


def has_text_module(keys: Iterable[str]) -> bool:
    """Return whether the text tower is a module of its own, ``CustomTextCLIP`` in open_clip."""
    keys = set(keys)
    return 'text.positional_embedding' in keys and 'positional_embedding' not in keys


def refuse_unsupported(keys: Iterable[str], name: str) -> None:
    """Raise an error for models other than SigLIP and a CLIP with the two transformers of OpenAI's.

    Raises:
        ValueError: If the model is not supported; names its kind and the key.
    """
    keys = list(keys)
    if is_siglip(keys) or not any(key.startswith(('visual.', 'clip.visual.')) for key in keys):
        return
    for pattern, kind in UNSUPPORTED:
        mark = next((key for key in keys if re.match(pattern, key.removeprefix('clip.'))), None)
        if mark:
            raise ValueError(
                f'{name} is {kind} ({mark}); only CLIPs with the vision transformer '
                "and the text transformer of OpenAI's CLIP are supported, and SigLIP"
            )


def fold_siglip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of a SigLIP the shapes of ``SiglipModel``; the inverse of :func:`unfold_siglip`.

    Query, key and value of the attentional pooling become one tensor, positions lose the batch dimension, and
    the scalars get one.
    """
    folded = {key: value for key, value in tensors.items() if not key.startswith((QUERY, KEYS_AND_VALUES))}
    for end in ('weight', 'bias'):
        parts = [tensors[key + end] for key in (QUERY, KEYS_AND_VALUES) if key + end in tensors]
        if len(parts) == 2 and parts[0].dtype == parts[1].dtype:
            folded[ALL + end] = torch.cat(parts)
    for key in SCALARS:
        if key in folded:
            folded[key] = folded[key].reshape(-1)
    if POSITIONS in folded:
        folded[POSITIONS] = folded[POSITIONS].squeeze(0)
    return folded


def unfold_siglip(tensors: Mapping[str, Tensor], nonscalar: bool) -> dict[str, Tensor]:
    """Give the tensors of a SigLIP the shapes and keys of open_clip.

    Args:
        tensors (dict[str, Tensor]): Output of :func:`fold_siglip`.
        nonscalar (bool): Whether the logit scale and bias have one dimension.
    """
    unfolded: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if key.startswith(ALL):
            end = key.removeprefix(ALL)
            query, rest = value.split([len(value) // 3, 2 * len(value) // 3])
            unfolded |= {QUERY + end: query.clone(), KEYS_AND_VALUES + end: rest.clone()}
        elif key == POSITIONS:
            unfolded[key] = value[None]
        else:
            unfolded[key] = value.reshape(()) if key in SCALARS and not nonscalar else value
    return unfolded
