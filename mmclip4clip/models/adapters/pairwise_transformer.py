"""CLIP's transformer block on pairs of a caption and a video, without what each pair would repeat.

A pair is the sequence [caption ; frame 1 ; ... ; frame T]. Before the first block
neither half depends on the other, so its norms, projections and the attention
among frames are computed once a caption and once a video; after the last block
only the first place is read, so it is all that block computes. All equal
:class:`CLIPEncoderLayer` on the whole sequence up to rounding.

Symbols: P pairs, H heads, C channels a head.
"""

import torch
from torch import Tensor, nn
from transformers.activations import QuickGELUActivation
from transformers.models.clip.modeling_clip import CLIPEncoderLayer


def split_heads(block: CLIPEncoderLayer, hidden: Tensor) -> dict[str, Tensor]:
    """Project (..., D) to the queries, keys and values of a block, (..., H, C) each.

    Queries carry the factor 1 / sqrt(C) already.
    """
    attention, normed = block.self_attn, block.layer_norm1(hidden)
    parts = dict(
        q=attention.q_proj(normed) * attention.scale, k=attention.k_proj(normed), v=attention.v_proj(normed)
    )
    heads = (attention.num_heads, attention.head_dim)
    return dict(hidden=hidden, **{key: value.unflatten(-1, heads) for key, value in parts.items()})


def prepare_captions(block: CLIPEncoderLayer, text: Tensor) -> dict[str, Tensor]:
    """Compute all of the first block that depends on captions (N, D) alone, N first in each."""
    side = split_heads(block, text)
    return dict(side, own=(side['q'] * side['k']).sum(dim=-1))  # (N, H)


def prepare_videos(block: CLIPEncoderLayer, frames: Tensor, frame_mask: Tensor) -> dict[str, Tensor]:
    """Compute all of the first block that depends on videos (V, T, D) alone, V first in each."""
    side, mask = split_heads(block, frames), frame_mask.bool()
    scores = torch.einsum('vthc,vshc->vths', side['q'], side['k'])
    scores = scores.masked_fill(~mask[:, None, None, :], float('-inf'))
    among = torch.einsum('vths,vshc->vthc', scores.softmax(dim=-1), side['v'])
    return dict(side, mask=mask, among=among, total=scores.logsumexp(dim=-1))  # total (V, T, H)


def first_block(block: CLIPEncoderLayer, text: dict[str, Tensor], video: dict[str, Tensor]) -> Tensor:
    """Run the first block on P pairs of prepared captions and videos, (P, 1 + T, D)."""
    seen = torch.einsum('phc,pthc->pth', text['q'], video['k'])
    seen = seen.masked_fill(~video['mask'][..., None], float('-inf'))
    weights = torch.cat([text['own'][:, None], seen], dim=1).softmax(dim=1)  # (P, 1 + T, H)
    first = weights[:, 0, :, None] * text['v'] + torch.einsum('pth,pthc->phc', weights[:, 1:], video['v'])
    # A frame's softmax over [caption ; frames] is one over frames, diluted by the caption's share.
    share = torch.einsum('pthc,phc->pth', video['q'], text['k']).sub(video['total']).sigmoid()[..., None]
    share = share.to(video['among'].dtype)  # autocast takes the logarithm in single precision
    rest = video['among'] + share * (text['v'][:, None] - video['among'])
    attended = torch.cat([first[:, None], rest], dim=1).flatten(-2)
    hidden = torch.cat([text['hidden'][:, None], video['hidden']], dim=1)
    return feed_forward(block, hidden + block.self_attn.out_proj(attended))


def middle_block(block: CLIPEncoderLayer, hidden: Tensor, mask: Tensor) -> Tensor:
    """Run a block on whole sequences (P, S, D) with their mask (P, S)."""
    keys = mask[:, None, None].expand(-1, 1, mask.shape[1], -1)
    return feed_forward(block, hidden + block.self_attn(block.layer_norm1(hidden), keys)[0])


def last_block(block: CLIPEncoderLayer, hidden: Tensor, mask: Tensor) -> Tensor:
    """Run a block on sequences (P, S, D) with their mask (P, S), for their first place alone, (P, D).

    Keys and values of all places are never made: the one query is taken back
    through the keys' projection, and the values' follows the weighted mean.
    """
    attention, normed = block.self_attn, block.layer_norm1(hidden)
    heads = (attention.num_heads, attention.head_dim)
    query = (attention.q_proj(normed[:, 0]) * attention.scale).unflatten(-1, heads)
    key, value = attention.k_proj, attention.v_proj
    back = torch.einsum('phc,hcd->phd', query, key.weight.unflatten(0, heads))
    # It cancels in the softmax, but the bias must be part of the graph: a parameter without a gradient would
    # stop DistributedDataParallel, and weight decay would pass it over.
    bias = torch.einsum('phc,hc->ph', query, key.bias.unflatten(0, heads))
    scores = torch.einsum('phd,psd->phs', back, normed) + bias[..., None]
    weights = scores.masked_fill(~mask[:, None], float('-inf')).softmax(dim=-1)
    mean = torch.einsum('phs,psd->phd', weights, normed)
    attended = torch.einsum('phd,hcd->phc', mean, value.weight.unflatten(0, heads)).flatten(1) + value.bias
    return feed_forward(block, hidden[:, 0] + attention.out_proj(attended))


def feed_forward(block: CLIPEncoderLayer, hidden: Tensor) -> Tensor:
    """Add the block's perceptron to (..., D).

    QuickGELU is written as SiLU(1.702 x) / 1.702, in place where no gradient is
    wanted: three times less memory to walk through than CLIP's own. Other activations
    are the block's own.
    """
    wide = block.mlp.fc1(block.layer_norm2(hidden))
    if not isinstance(block.mlp.activation_fn, QuickGELUActivation):
        wide = block.mlp.activation_fn(wide)
    elif torch.is_grad_enabled():
        wide = nn.functional.silu(wide * 1.702) / 1.702
    else:
        wide = nn.functional.silu(wide.mul_(1.702), inplace=True).div_(1.702)
    return hidden + block.mlp.fc2(wide)
