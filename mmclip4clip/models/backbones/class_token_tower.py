"""Vision towers whose feature is that of a class token compute nothing that this feature is not made of."""

from collections.abc import Iterable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput

from .token_merging import match_tokens, merge_tokens, read_merging
from .towers import tower_blocks

PARTS = {'layer_norm1', 'self_attn', 'layer_norm2', 'mlp'}  # of a block of CLIP


def has_class_token(model: Any) -> bool:
    """Return whether the vision tower is made of CLIP's blocks, and its feature is that of a class token."""
    blocks = [{name for name, _ in block.named_children()} for block in tower_blocks(model, 'vision')]
    return hasattr(model.vision_model.embeddings, 'class_embedding') and all(
        parts == PARTS for parts in blocks
    )


def read_class_token(model: Any, merging: dict | None = None) -> list[int]:
    """Let the last block of the vision tower compute the class token alone, which is all that is read of it.

    The features are the same up to rounding, and so are gradients. A tower of 12 blocks takes 7 % fewer
    operations. Weights, their names and their order stay the same. Towers without a class token, such as
    SigLIP's, are not touched.

    ``model.vision_model`` then returns the class token alone, (B, 1, D) as ``last_hidden_state``, and neither
    hidden states nor attentions: they are None or empty even if they are asked for.

    Args:
        model (PreTrainedModel): Dual encoder of ``transformers``, changed in place.
        merging (dict, optional): Options of token merging, see :func:`read_merging`.

    Returns:
        list[int]: The number of patches that each block but the last merges; empty if none does.

    Raises:
        ValueError: If the options do not fit the tower.
    """
    readable = has_class_token(model)
    counts = read_merging(model, merging, readable)
    if readable:
        blocks = tower_blocks(model, 'vision')
        model.vision_model.encoder = ClassTokenEncoder(blocks, counts or [0] * (len(blocks) - 1))
    return counts


class ClassTokenEncoder(nn.Module):
    """Blocks that pass on tokens and their sizes; in place of the encoder of a vision tower.

    Args:
        blocks (Iterable[nn.Module]): The blocks of the encoder.
        counts (Iterable[int]): Number of patches that each block but the last merges.
    """

    def __init__(self, blocks: Iterable[nn.Module], counts: Iterable[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ClassTokenBlock(*pair) for pair in zip(blocks, [*counts, None]))

    def forward(self, inputs_embeds: Tensor, **kwargs) -> BaseModelOutput:
        """Encode embedded tokens (B, L, D) up to the class token, (B, 1, D)."""
        hidden, size = inputs_embeds, None
        for block in self.layers:
            hidden, size = block(hidden, size)
        return BaseModelOutput(last_hidden_state=hidden)


class ClassTokenBlock(GradientCheckpointingLayer):
    """A block of CLIP, which may merge patches between its attention and its MLP.

    Args:
        block (nn.Module): Block of CLIP, whose parts it takes.
        count (int, optional): Number of patches to merge. None in the last block, which reads all tokens and
            passes on the class token alone.
    """

    layer_norm1: nn.Module
    self_attn: nn.Module
    layer_norm2: nn.Module
    mlp: nn.Module

    def __init__(self, block: nn.Module, count: int | None) -> None:
        super().__init__()
        for name, part in block.named_children():  # in this order, which is that of the optimizer's state
            self.add_module(name, part)
        self.count = count

    def forward(self, hidden: Tensor, size: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Run the block.

        Args:
            hidden (Tensor): Tokens, (B, L, D), the class token first.
            size (Tensor, optional): Number of patches in each token, (B, L); None if that is 1.

        Returns:
            tuple[Tensor, Tensor | None]: The fewer tokens and their sizes.
        """
        read = 1 if self.count is None else hidden.shape[1]
        mixed, keys = attend(self.self_attn, self.layer_norm1(hidden), read, size)
        hidden = hidden[:, :read] + mixed
        if self.count:
            places = match_tokens(keys.mean(dim=1), self.count)
            hidden, size = merge_tokens(hidden, size, places, self.count)
        return hidden + self.mlp(self.layer_norm2(hidden)), size


def attend(attention: Any, hidden: Tensor, read: int, size: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Let the first tokens attend to all.

    Each token counts as often as the number of patches in it: its logarithm is added to the logits.

    Args:
        attention (nn.Module): Attention of CLIP.
        hidden (Tensor): Normalized tokens, (B, L, D).
        read (int): Number of tokens Q that attend.
        size (Tensor, optional): Number of patches in each token, (B, L); None if that is 1.

    Returns:
        tuple[Tensor, Tensor]: The output (B, Q, D), and the keys, (B, heads, L, C).
    """
    query, key, value = (
        # view: an ONNX graph of unflatten has the batch of the example
        project(tokens).view(*tokens.shape[:2], attention.num_heads, -1).transpose(1, 2)
        for project, tokens in (
            (attention.q_proj, hidden[:, :read].contiguous()),
            (attention.k_proj, hidden),
            (attention.v_proj, hidden),
        )
    )  # (B, heads, L, C)
    bias = None if size is None else size.log().to(query.dtype)[:, None, None]
    dropout = attention.dropout if attention.training else 0.0
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2)), key
