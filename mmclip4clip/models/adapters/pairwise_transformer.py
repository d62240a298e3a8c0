"""CLIP's transformer blocks on pairs of a caption and a video, without repeated computation.

A pair is the sequence [caption ; frame 1 ; ... ; frame T]. Before the first block, caption and frames do
not depend on each other. So the norms, the projections and the attention among frames are computed once
per caption and once per video. Only the first position of the last block's output is used, so the last
block computes no other. The results equal :class:`CLIPEncoderLayer` on the whole sequence up to rounding.

Symbols: P pairs, H heads, C channels per head.
"""

import torch
from torch import Tensor, nn
from transformers.activations import QuickGELUActivation
from transformers.models.clip.modeling_clip import CLIPEncoderLayer


def split_heads(block: CLIPEncoderLayer, hidden: Tensor) -> dict[str, Tensor]:
    """Project (..., D) to the queries, keys and values of a block, (..., H, C) each.

    The queries are already scaled by 1 / sqrt(C).
    """
    attention, normed = block.self_attn, block.layer_norm1(hidden)
    parts = dict(
        q=attention.q_proj(normed) * attention.scale, k=attention.k_proj(normed), v=attention.v_proj(normed)
    )
    heads = (attention.num_heads, attention.head_dim)
    return dict(hidden=hidden, **{key: value.unflatten(-1, heads) for key, value in parts.items()})


def prepare_captions(block: CLIPEncoderLayer, text: Tensor) -> dict[str, Tensor]:
    """Compute the part of the first block that depends only on the captions (N, D); N is the first axis."""
    heads = split_heads(block, text)
    return dict(heads, self_score=(heads['q'] * heads['k']).sum(dim=-1))  # (N, H)


def prepare_videos(block: CLIPEncoderLayer, frames: Tensor, frame_mask: Tensor) -> dict[str, Tensor]:
    """Compute the part of the first block that depends only on the videos (V, T, D); V is the first axis."""
    heads, mask = split_heads(block, frames), frame_mask.bool()
    scores = torch.einsum('vthc,vshc->vths', heads['q'], heads['k'])
    scores = scores.masked_fill(~mask[:, None, None, :], float('-inf'))
    attended = torch.einsum('vths,vshc->vthc', scores.softmax(dim=-1), heads['v'])
    return dict(
        heads, mask=mask, attended=attended, logsumexp=scores.logsumexp(dim=-1)
    )  # logsumexp (V, T, H)


def first_block(block: CLIPEncoderLayer, text: dict[str, Tensor], video: dict[str, Tensor]) -> Tensor:
    """Run the first block on P pairs of prepared captions and videos, (P, 1 + T, D)."""
    scores = torch.einsum('phc,pthc->pth', text['q'], video['k'])
    scores = scores.masked_fill(~video['mask'][..., None], float('-inf'))
    weights = torch.cat([text['self_score'][:, None], scores], dim=1).softmax(dim=1)  # (P, 1 + T, H)
    first = weights[:, 0, :, None] * text['v'] + torch.einsum('pth,pthc->phc', weights[:, 1:], video['v'])
    # A frame's attention over [caption ; frames] mixes its attention over the frames and the caption.
    share = torch.einsum('pthc,phc->pth', video['q'], text['k']).sub(video['logsumexp']).sigmoid()[..., None]
    share = share.to(video['attended'].dtype)  # autocast computes logsumexp in single precision
    rest = video['attended'] + share * (text['v'][:, None] - video['attended'])
    attended = torch.cat([first[:, None], rest], dim=1).flatten(-2)
    hidden = torch.cat([text['hidden'][:, None], video['hidden']], dim=1)
    return feed_forward(block, hidden + block.self_attn.out_proj(attended))


def middle_block(block: CLIPEncoderLayer, hidden: Tensor, mask: Tensor) -> Tensor:
    """Run a block on sequences (P, S, D) with mask (P, S)."""
    keys = mask[:, None, None].expand(-1, 1, mask.shape[1], -1)
    return feed_forward(block, hidden + block.self_attn(block.layer_norm1(hidden), keys)[0])


def last_block(block: CLIPEncoderLayer, hidden: Tensor, mask: Tensor) -> Tensor:
    """Run a block on sequences (P, S, D) with mask (P, S), for the first position only, (P, D).

    Keys and values are not computed for each position. Instead, the query is multiplied by the weight of
    the key projection, and the value projection is applied to the weighted mean of the inputs.
    """
    attention, normed = block.self_attn, block.layer_norm1(hidden)
    heads = (attention.num_heads, attention.head_dim)
    query = (attention.q_proj(normed[:, 0]) * attention.scale).unflatten(-1, heads)
    key, value = attention.k_proj, attention.v_proj
    projected = torch.einsum('phc,hcd->phd', query, key.weight.unflatten(0, heads))
    # The bias cancels in the softmax but must be in the graph: DistributedDataParallel fails for a parameter
    # without a gradient, and weight decay skips it.
    bias = torch.einsum('phc,hc->ph', query, key.bias.unflatten(0, heads))
    scores = torch.einsum('phd,psd->phs', projected, normed) + bias[..., None]
    weights = scores.masked_fill(~mask[:, None], float('-inf')).softmax(dim=-1)
    mean = torch.einsum('phs,psd->phd', weights, normed)
    attended = torch.einsum('phd,hcd->phc', mean, value.weight.unflatten(0, heads)).flatten(1) + value.bias
    return feed_forward(block, hidden[:, 0] + attention.out_proj(attended))


def feed_forward(block: CLIPEncoderLayer, hidden: Tensor) -> Tensor:
    """Apply the feed-forward layer of a block, with its residual, to (..., D).

    QuickGELU is computed as SiLU(1.702 x) / 1.702, in place if no gradient is needed. That takes a third of
    the memory traffic of CLIP's implementation. Other activations are called as they are.
    """
    wide = block.mlp.fc1(block.layer_norm2(hidden))
    if not isinstance(block.mlp.activation_fn, QuickGELUActivation):
        wide = block.mlp.activation_fn(wide)
    elif torch.is_grad_enabled():
        wide = nn.functional.silu(wide * 1.702) / 1.702
    else:
        wide = nn.functional.silu(wide.mul_(1.702), inplace=True).div_(1.702)
    return hidden + block.mlp.fc2(wide)
