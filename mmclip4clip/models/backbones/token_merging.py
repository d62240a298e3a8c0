"""Token merging (ToMe, arXiv:2210.09461): the blocks of a vision tower average patches that are alike."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput

from .families import image_size
from .towers import tower_blocks

PARTS = {'layer_norm1', 'self_attn', 'layer_norm2', 'mlp'}  # of a block that can merge
ARGUMENT = 'model.backbone.token_merging'


def merge_vision_tokens(model: Any, options: dict | None) -> list[int]:
    """Let the blocks of the vision tower merge patches, so that higher blocks compute fewer.

    Weights and their names stay the same. Without merging, the model is not touched.

    Args:
        model (PreTrainedModel): Dual encoder of ``transformers``.
        options (dict, optional): ``r``, the number of patches that each block merges into others: a whole
            number for all blocks, or a list with one for each. The last block never merges, because nothing
            reads its patches, so a list has no number for it. 0 merges nothing.

    Returns:
        list[int]: The number for each block but the last; empty if nothing merges.

    Raises:
        ValueError: If ``r`` is no such number, a block would merge more than half of its patches, or the
            tower has no class token, as in SigLIP.
    """
    if options is None:
        return []
    if set(options) != {'r'}:
        raise ValueError(f'{ARGUMENT} must be dict(r=...) without other keys, got {options!r}')
    blocks = tower_blocks(model, 'vision')
    counts = _read_counts(options['r'], len(blocks) - 1)
    if not any(counts):
        return []
    vision = model.vision_model
    if not hasattr(vision.embeddings, 'class_embedding') or any(
        {name for name, _ in block.named_children()} != PARTS for block in blocks
    ):
        raise ValueError(
            f'{ARGUMENT} needs a vision tower whose feature is that of a class token, as in CLIP, '
            f'MetaCLIP 2, Chinese-CLIP and AltCLIP, got {type(vision).__name__}: leave it out'
        )
    height, width = image_size(model.config)
    patches = (height // vision.config.patch_size) * (width // vision.config.patch_size)
    for number, count in enumerate(counts):
        if count > patches // 2:
            raise ValueError(
                f'{ARGUMENT}.r={options["r"]}: block {number} has {patches} patches and merges at most half '
                f'of them, {patches // 2}, got {count}'
            )
        patches -= count
    vision.encoder = MergingEncoder(blocks, [*counts, None])
    return counts


def _read_counts(r: object, number: int) -> list[int]:
    """Return the number of patches to merge in each block but the last."""
    counts: list[Any] = list(r) if isinstance(r, Sequence) and not isinstance(r, str) else [r] * number
    if len(counts) != number or any(type(count) is not int or count < 0 for count in counts):
        raise ValueError(
            f'{ARGUMENT}.r must be a whole number from 0 on, or a list of {number} of them, one for each '
            f'block of the vision tower but the last, got {r!r}'
        )
    return counts


class MergingEncoder(nn.Module):
    """Blocks that pass on tokens and their sizes; in place of the encoder of a vision tower.

    Args:
        blocks (Iterable[nn.Module]): The blocks of the encoder.
        counts (Iterable[int | None]): See :class:`MergingBlock`.
    """

    def __init__(self, blocks: Iterable[nn.Module], counts: Iterable[int | None]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MergingBlock(*pair) for pair in zip(blocks, counts))

    def forward(self, inputs_embeds: Tensor, **kwargs) -> BaseModelOutput:
        """Encode embedded tokens (B, L, D) up to the class token, (B, 1, D)."""
        hidden, size = inputs_embeds, None
        for block in self.layers:
            hidden, size = block(hidden, size)
        return BaseModelOutput(last_hidden_state=hidden)


class MergingBlock(GradientCheckpointingLayer):
    """A block that merges patches between its attention and its MLP.

    Args:
        block (nn.Module): Block of CLIP, whose parts it takes.
        count (int, optional): Number of patches to merge. None in the last block, which passes on the class
            token alone.
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
        mixed, keys = attend_in_proportion(self.self_attn, self.layer_norm1(hidden), size)
        hidden = hidden + mixed
        if self.count is None:
            hidden = hidden[:, :1]
        elif self.count:
            hidden, size = merge_tokens(hidden, size, match_tokens(keys, self.count), self.count)
        return hidden + self.mlp(self.layer_norm2(hidden)), size


def attend_in_proportion(attention: Any, hidden: Tensor, size: Tensor | None) -> tuple[Tensor, Tensor]:
    """Attend to each token as often as the number of patches in it: its logarithm is added to the logits.

    Args:
        attention (nn.Module): Attention of CLIP.
        hidden (Tensor): Normalized tokens, (B, L, D).
        size (Tensor, optional): Number of patches in each token, (B, L); None if that is 1.

    Returns:
        tuple[Tensor, Tensor]: The output (B, L, D), and the keys, averaged over heads, (B, L, C).
    """
    batch, length, _ = hidden.shape  # view: an ONNX graph of unflatten has the batch of the example
    query, key, value = (
        project(hidden).view(batch, length, attention.num_heads, -1).transpose(1, 2)  # (B, heads, L, C)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    bias = None if size is None else size.log().to(query.dtype)[:, None, None]
    dropout = attention.dropout if attention.training else 0.0
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2)), key.mean(dim=1)


@torch.no_grad()
def match_tokens(keys: Tensor, count: int) -> Tensor:
    """Decide which patches merge: of every second patch, those whose key is most like one of the others.

    Args:
        keys (Tensor): Keys of the attention, (B, L, C), the class token first, which never merges.
        count (int): Number of patches to merge, at most half of them.

    Returns:
        Tensor: The place of each token among the remaining ones, which keep their order, (B, L) int64.

    Examples:
        >>> patches = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0], [1.0, 1.0]])
        >>> match_tokens(torch.cat([torch.ones(1, 2), patches])[None], count=1)
        tensor([[0, 1, 2, 2, 3]])
    """
    unit = F.normalize(keys, dim=-1)
    likeness, partner = (unit[:, 1::2] @ unit[:, 2::2].transpose(1, 2)).max(dim=-1)  # (B, sources)
    chosen = likeness.topk(count, dim=-1).indices
    sources, targets = 2 * chosen + 1, 2 * partner.gather(1, chosen) + 2
    batch, length, _ = keys.shape
    stays = keys.new_ones(batch, length, dtype=torch.long).scatter(1, sources, 0)
    places = stays.cumsum(dim=1) - 1
    return places.scatter(1, sources, places.gather(1, targets))


def merge_tokens(hidden: Tensor, size: Tensor | None, places: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Average the tokens that have the same place, weighted by their sizes.

    Args:
        hidden (Tensor): Tokens, (B, L, D).
        size (Tensor, optional): Number of patches in each token, (B, L); None if that is 1.
        places (Tensor): Output of :func:`match_tokens`, (B, L).
        count (int): Number of tokens less than before.

    Returns:
        tuple[Tensor, Tensor]: Tokens (B, L - count, D) and their sizes (B, L - count).
    """
    batch, length, width = hidden.shape
    if size is None:
        size = hidden.new_ones(batch, length, dtype=torch.promote_types(hidden.dtype, torch.float32))
    total = size.new_zeros(batch, length - count).scatter_add(1, places, size)
    weight = (size / total.gather(1, places)).to(hidden.dtype)  # 1 for a token that is alone
    index = places[..., None].expand(-1, -1, width)
    merged = hidden.new_zeros(batch, length - count, width)
    return merged.scatter_add(1, index, weight[..., None] * hidden), total
