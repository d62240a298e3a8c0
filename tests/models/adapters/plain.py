"""The similarities written out from the papers, in float64, one caption, one video, one frame at a time.

Parameters come as a dict of float64 tensors under the adapter's own names;
``text`` is (D,) or, for tokens, (L, D); ``frames`` is (T, D), without padding.
"""

import torch


def unit(x):
    return x / (x * x).sum().sqrt()


def linear(w, name, x):
    return w[f'{name}.weight'] @ x + w[f'{name}.bias']


def norm(w, name, x, eps):
    centerd = x - x.mean()
    return centerd / ((centerd * centerd).mean() + eps).sqrt() * w[f'{name}.weight'] + w[f'{name}.bias']


def softmax(values):
    values = torch.stack(values)
    exponentials = (values - values.max()).exp()
    return exponentials / exponentials.sum()


def quick_gelu(x):
    return x / (1 + (-1.702 * x).exp())


def gelu(x):
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def block(w, name, sequence, heads, activation=quick_gelu):
    """CLIP's pre-norm block on a list of vectors (D,)."""
    normed = [norm(w, f'{name}.layer_norm1', x, 1e-12) for x in sequence]
    q, k, v = ([linear(w, f'{name}.self_attn.{p}_proj', x) for x in normed] for p in 'qkv')
    size, outputs = len(sequence[0]) // heads, []
    for i, x in enumerate(sequence):
        seen = []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            weights = softmax([q[i][part] @ key[part] / size**0.5 for key in k])
            seen.append(sum(weight * value[part] for weight, value in zip(weights, v)))
        x = x + linear(w, f'{name}.self_attn.out_proj', torch.cat(seen))
        hidden = activation(linear(w, f'{name}.mlp.fc1', norm(w, f'{name}.layer_norm2', x, 1e-12)))
        outputs.append(x + linear(w, f'{name}.mlp.fc2', hidden))
    return outputs


def blocks(w, sequence, heads, activation=quick_gelu):
    """All blocks, after adding positions."""
    hidden = [x + w['transformer.positions.weight'][i] for i, x in enumerate(sequence)]
    number = 0
    while f'transformer.blocks.{number}.mlp.fc1.weight' in w:
        hidden = block(w, f'transformer.blocks.{number}', hidden, heads, activation)
        number += 1
    return hidden


def cosine_with_mean(text, frames):
    return unit(text) @ unit(sum(unit(x) for x in frames) / len(frames))


def mean(w, text, frames, heads):
    return cosine_with_mean(text, list(frames))


def seq_lstm(w, text, frames, heads):
    h = c = torch.zeros(frames.shape[1], dtype=torch.float64)
    outputs = []
    for x in frames:
        gates = (
            w['lstm.weight_ih_l0'] @ x
            + w['lstm.bias_ih_l0']
            + w['lstm.weight_hh_l0'] @ h
            + w['lstm.bias_hh_l0']
        )
        i, f, g, o = gates.chunk(4)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(x + h)
    return cosine_with_mean(text, outputs)


def seq_transformer(w, text, frames, heads, activation=quick_gelu):
    context = blocks(w, list(frames), heads, activation)
    return cosine_with_mean(text, [x + y for x, y in zip(frames, context)])


def tight(w, text, frames, heads, activation=quick_gelu):
    first = blocks(w, [text, *frames], heads, activation)[0]
    pooled = linear(w, 'pool_proj', norm(w, 'pool_norm', first, 1e-12))
    return linear(w, 'score', quick_gelu(pooled))[0]


def tight_of_the_paper(w, text, frames, heads, activation=quick_gelu):
    caption, frame = w['types.weight']
    first = blocks(w, [text + caption, *(x + frame for x in frames)], heads, activation)[0]
    return linear(w, 'score', linear(w, 'pool_proj', first).clamp(min=0))[0]


def wti(w, text, frames, heads, activation=quick_gelu):
    if 'transformer.positions.weight' in w:
        frames = [x + y for x, y in zip(frames, blocks(w, list(frames), heads, activation))]

    def weights(name, features):
        return softmax([linear(w, f'{name}.2', linear(w, f'{name}.0', x).clamp(min=0))[0] for x in features])

    cosines = torch.stack([torch.stack([unit(t) @ unit(f) for f in frames]) for t in text])
    to_video = sum(a * row.max() for a, row in zip(weights('token_weight', text), cosines))
    to_text = sum(a * column.max() for a, column in zip(weights('frame_weight', frames), cosines.T))
    return (to_video + to_text) / 2


def xpool(w, text, frames, heads):
    query = linear(w, 'q_proj', norm(w, 'input_norm', text, 1e-5))
    normed = [norm(w, 'input_norm', x, 1e-5) for x in frames]
    keys, values = ([linear(w, name, x) for x in normed] for name in ('k_proj', 'v_proj'))
    size, seen = len(text) // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        attention = softmax([query[part] @ key[part] / size**0.5 for key in keys])
        seen.append(sum(a * value[part] for a, value in zip(attention, values)))
    attended = norm(w, 'attended_norm', linear(w, 'out_proj', torch.cat(seen)), 1e-5)
    pooled = norm(w, 'output_norm', attended + linear(w, 'linear_proj', attended), 1e-5)
    return unit(text) @ unit(pooled)


def loss(similarity, scale):
    """The symmetric cross-entropy of CLIP4Clip, one caption a video, on the diagonal."""
    logits, total = scale * similarity, 0.0
    for i in range(len(logits)):
        total = total - torch.log(softmax(list(logits[i]))[i]) - torch.log(softmax(list(logits[:, i]))[i])
    return total / len(logits) / 2
