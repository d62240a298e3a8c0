"""The caption decoder written out, in float64, one caption and one word at a time.

Parameters come as a dict of float64 tensors under the decoder's own names, beside them the
``words`` (K, W) and ``positions`` (P, W) that it embeds by. Nothing here is padded.
"""

import math

import torch


def norm(w, name, x):
    centerd = x - x.mean()
    return centerd / ((centerd * centerd).mean() + 1e-5).sqrt() * w[f'{name}.weight'] + w[f'{name}.bias']


def linear(w, name, x):
    """A layer that keeps its weight as (inputs, outputs)."""
    return x @ w[f'{name}.weight'] + w[f'{name}.bias']


def gelu(x):
    return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def attend(query, keys, values, heads):
    """Let one query (W,) look at lists of keys and values (W,)."""
    size, seen = len(query) // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        scores = torch.stack([query[part] @ key[part] / math.sqrt(size) for key in keys])
        weights = (scores - scores.max()).exp()
        seen.append(sum(a * value[part] for a, value in zip(weights / weights.sum(), values)))
    return torch.cat(seen)


def block(w, name, hidden, frames, heads):
    width = len(hidden[0])
    mixed = [linear(w, f'{name}.attn.c_attn', norm(w, f'{name}.ln_1', x)).split(width) for x in hidden]
    shown = [linear(w, f'{name}.crossattention.c_attn', f).split(width) for f in frames]
    outputs = []
    for i, x in enumerate(hidden):
        query, past = mixed[i][0], mixed[: i + 1]  # a word sees itself and those before it
        x = x + linear(
            w, f'{name}.attn.c_proj', attend(query, [k for _, k, _ in past], [v for _, _, v in past], heads)
        )
        query = linear(w, f'{name}.crossattention.q_attn', norm(w, f'{name}.ln_cross_attn', x))
        x = x + linear(
            w,
            f'{name}.crossattention.c_proj',
            attend(query, [k for k, _ in shown], [v for _, v in shown], heads),
        )
        inner = gelu(linear(w, f'{name}.mlp.c_fc', norm(w, f'{name}.ln_2', x)))
        outputs.append(x + linear(w, f'{name}.mlp.c_proj', inner))
    return outputs


def decode(w, words, positions, tokens, frames, heads):
    """Return the logits of what follows each of the tokens, (L, K), given frames (T, D)."""
    frames = [norm(w, 'frame_norm', f) for f in frames]
    if 'frame_proj.weight' in w:
        frames = [w['frame_proj.weight'] @ f + w['frame_proj.bias'] for f in frames]
    hidden = [words[token] + positions[place] for place, token in enumerate(tokens)]
    number = 0
    while f'transformer.h.{number}.ln_1.weight' in w:
        hidden = block(w, f'transformer.h.{number}', hidden, frames, heads)
        number += 1
    return torch.stack([words @ norm(w, 'transformer.ln_f', x) for x in hidden])
