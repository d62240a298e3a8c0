"""SigLIP as a forward pass on open_clip's tensors, in float64, and random tensors for it.

Written from the architecture, with the keys that open_clip and timm publish.
"""

import torch
import torch.nn.functional as F

from .plain import VOCAB, WORDS, blocks, draw_block, draw_norm, norm

WIDTH, WIDE, PATCH, SIDE, HEADS, EPS = 32, 64, 8, 16, 2, 1e-6


def draw_linear(name: str, out: int, into: int) -> dict[str, torch.Tensor]:
    return {f'{name}.weight': into**-0.5 * torch.randn(out, into), f'{name}.bias': 0.2 * torch.randn(out)}


def draw_siglip() -> dict[str, torch.Tensor]:
    """All tensors of a SigLIP with two blocks a tower, whose towers differ in width."""
    trunk = 'visual.trunk'
    weights = {
        'logit_scale': torch.tensor(2.3),
        'logit_bias': torch.tensor(-9.5),
        'text.token_embedding.weight': torch.randn(VOCAB, WIDTH),
        'text.positional_embedding': torch.randn(WORDS, WIDTH),
        f'{trunk}.pos_embed': torch.randn(1, (SIDE // PATCH) ** 2, WIDE),
        f'{trunk}.patch_embed.proj.weight': torch.randn(WIDE, 3, PATCH, PATCH) / 10,
        f'{trunk}.patch_embed.proj.bias': torch.randn(WIDE),
        f'{trunk}.attn_pool.latent': torch.randn(1, 1, WIDE),
        **draw_norm('text.ln_final', WIDTH),
        **draw_norm(f'{trunk}.norm', WIDE),
        **draw_norm(f'{trunk}.attn_pool.norm', WIDE),
        **draw_linear('text.text_projection', WIDE, WIDTH),
    }
    for block in range(2):
        weights |= draw_block(f'text.transformer.resblocks.{block}', WIDTH)
        name = f'{trunk}.blocks.{block}'
        weights |= draw_norm(f'{name}.norm1', WIDE) | draw_norm(f'{name}.norm2', WIDE)
        weights |= draw_linear(f'{name}.attn.qkv', 3 * WIDE, WIDE)
        weights |= draw_linear(f'{name}.attn.proj', WIDE, WIDE) | draw_mlp(f'{name}.mlp')
    pool = f'{trunk}.attn_pool'
    weights |= draw_linear(f'{pool}.q', WIDE, WIDE) | draw_linear(f'{pool}.kv', 2 * WIDE, WIDE)
    return weights | draw_linear(f'{pool}.proj', WIDE, WIDE) | draw_mlp(f'{pool}.mlp')


def draw_mlp(name: str) -> dict[str, torch.Tensor]:
    return draw_linear(f'{name}.fc1', 4 * WIDE, WIDE) | draw_linear(f'{name}.fc2', WIDE, 4 * WIDE)


def linear(w, name, x):
    return x @ w[f'{name}.weight'].T + w[f'{name}.bias']


def mlp(w, name, x, activation):
    return linear(w, f'{name}.fc2', activation(linear(w, f'{name}.fc1', x)))


def attend(q, k, v):
    """Attention of queries (M, W) to keys and values (N, W), with HEADS heads."""
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(0, 1) for x in (q, k, v))
    seen = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    return seen.transpose(0, 1).flatten(1)


def encode_text(w, tokens):
    """Features (D,) of one caption that is padded to the full length; it is taken at the last position."""
    x = w['text.token_embedding.weight'][tokens] + w['text.positional_embedding']
    x = blocks(w, 'text.transformer.resblocks', x, EPS, heads=HEADS)
    return linear(w, 'text.text_projection', norm(w, 'text.ln_final', x, EPS)[-1])


def encode_frame(w, frame, activation=F.gelu):
    """Features (D,) of one frame (3, H, W)."""
    trunk = 'visual.trunk'
    patches = F.conv2d(
        frame[None], w[f'{trunk}.patch_embed.proj.weight'], w[f'{trunk}.patch_embed.proj.bias'], stride=PATCH
    )
    x = patches[0].flatten(1).T + w[f'{trunk}.pos_embed'][0]
    for block in range(2):
        name = f'{trunk}.blocks.{block}'
        q, k, v = linear(w, f'{name}.attn.qkv', norm(w, f'{name}.norm1', x, EPS)).chunk(3, dim=-1)
        x = x + linear(w, f'{name}.attn.proj', attend(q, k, v))
        x = x + mlp(w, f'{name}.mlp', norm(w, f'{name}.norm2', x, EPS), activation)
    x, pool = norm(w, f'{trunk}.norm', x, EPS), f'{trunk}.attn_pool'
    k, v = linear(w, f'{pool}.kv', x).chunk(2, dim=-1)
    seen = linear(w, f'{pool}.proj', attend(linear(w, f'{pool}.q', w[f'{pool}.latent'][0]), k, v))
    return (seen + mlp(w, f'{pool}.mlp', norm(w, f'{pool}.norm', seen, EPS), activation))[0]
