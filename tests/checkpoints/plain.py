"""CLIP and the reference's heads as forward passes on OpenAI's and the reference's tensors, in float64.

Written from the architecture, with their names: nothing here knows native. Also
draws such tensors.
"""

import torch
import torch.nn.functional as F

TEXT, VISION, D, VOCAB, WORDS, PATCH, IMAGE, DEPTH = 128, 192, 128, 60, 12, 8, 16, 2
HEADS = ('meanP', 'seqLSTM', 'seqTransf', 'tightTransf')


def draw_block(name, width):
    def normal(*shape, std):
        return std * torch.randn(*shape)

    weights = {
        f'{name}.{norm}.{end}': normal(width, std=0.2) + (end == 'weight')
        for norm in ('ln_1', 'ln_2')
        for end in ('weight', 'bias')
    }
    for layer, out, into in (
        ('attn.in_proj_', 3 * width, width),
        ('attn.out_proj.', width, width),
        ('mlp.c_fc.', 4 * width, width),
        ('mlp.c_proj.', width, 4 * width),
    ):
        weights[f'{name}.{layer}weight'] = normal(out, into, std=1.5 * into**-0.5)
        weights[f'{name}.{layer}bias'] = normal(out, std=0.2)
    return weights


def draw_norm(name, width):
    return {f'{name}.weight': 1 + 0.2 * torch.randn(width), f'{name}.bias': 0.2 * torch.randn(width)}


def draw_openai(prefix=''):
    """All tensors of a CLIP whose towers differ in width, in fp32."""
    weights = {
        'logit_scale': torch.tensor(2.3),
        'token_embedding.weight': torch.randn(VOCAB, TEXT),
        'positional_embedding': torch.randn(WORDS, TEXT),
        'text_projection': torch.randn(TEXT, D) / 10,
        'visual.conv1.weight': torch.randn(VISION, 3, PATCH, PATCH) / 10,
        'visual.class_embedding': torch.randn(VISION),
        'visual.proj': torch.randn(VISION, D) / 10,
        'visual.positional_embedding': torch.randn((IMAGE // PATCH) ** 2 + 1, VISION),
        **draw_norm('ln_final', TEXT),
        **draw_norm('visual.ln_pre', VISION),
        **draw_norm('visual.ln_post', VISION),
    }
    for block in range(DEPTH):
        weights |= draw_block(f'transformer.resblocks.{block}', TEXT)
        weights |= draw_block(f'visual.transformer.resblocks.{block}', VISION)
    return {prefix + key: value for key, value in weights.items()}


def draw_published():
    """A CLIP as OpenAI publishes it: with entries for its sizes, which tell that it is OpenAI's."""
    return draw_openai() | dict(
        input_resolution=torch.tensor(IMAGE),
        context_length=torch.tensor(WORDS),
        vocab_size=torch.tensor(VOCAB),
    )


def draw_cross(depth=3):
    weights = {
        'cross.embeddings.position_embeddings.weight': torch.randn(WORDS, D),
        **draw_norm('cross.pooler.ln_pool', D),
    }
    for name, width in (('cross.pooler.dense', D), ('similarity_dense', 1)):
        weights |= {f'{name}.weight': torch.randn(width, D) / 10, f'{name}.bias': torch.randn(width)}
    for block in range(depth):
        weights |= draw_block(f'cross.transformer.resblocks.{block}', D)
    return weights


def draw_reference(head, patch='2d', loose=True):
    """All tensors of a checkpoint of the reference, CLIP's as its training leaves them: fp16 in part."""
    weights = draw_openai('clip.')
    if patch == '3d':
        weights['clip.visual.conv2.weight'] = torch.randn(VISION, 3, 3, PATCH, PATCH) / 10
    weights = halve(weights)
    if head in ('seqLSTM', 'seqTransf'):
        weights['frame_position_embeddings.weight'] = torch.randn(WORDS, D)
    if head == 'seqLSTM':
        weights |= {
            f'lstm_visual.{key}': value.clone() for key, value in torch.nn.LSTM(D, D).state_dict().items()
        }
    if head == 'seqTransf':
        for block in range(3):
            weights |= draw_block(f'transformerClip.resblocks.{block}', D)
    if head == 'tightTransf' or not loose:
        weights |= draw_cross()
    return weights


def halve(weights):
    """Do as OpenAI's convert_weights: convolutions, linear layers, attention and projections in fp16."""
    parts = ('attn.', 'mlp.', 'conv1.', 'conv2.', 'text_projection', 'visual.proj')
    return {
        key: value.half() if any(part in key for part in parts) else value for key, value in weights.items()
    }


def norm(w, name, x, eps):
    x = x - x.mean(-1, keepdim=True)
    x = x / (x.square().mean(-1, keepdim=True) + eps).sqrt()
    return x * w[f'{name}.weight'] + w[f'{name}.bias']


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def blocks(w, name, x, eps=1e-5, causal=False, heads=None):
    """Pre-norm blocks on (L, width), one head every 64 channels unless said otherwise."""
    length, width = x.shape
    bias = torch.full((length, length), -torch.inf).triu(1) if causal else torch.zeros(length, length)
    number, heads = 0, heads or width // 64
    size = width // heads
    while f'{name}.{number}.attn.in_proj_weight' in w:
        b = f'{name}.{number}'
        qkv = norm(w, f'{b}.ln_1', x, eps) @ w[f'{b}.attn.in_proj_weight'].T + w[f'{b}.attn.in_proj_bias']
        q, k, v = qkv.view(length, 3, heads, size).permute(1, 2, 0, 3)  # (heads, L, 64) each
        seen = (q @ k.mT / size**0.5 + bias).softmax(-1) @ v
        seen = seen.transpose(0, 1).reshape(length, width)
        x = x + seen @ w[f'{b}.attn.out_proj.weight'].T + w[f'{b}.attn.out_proj.bias']
        hidden = norm(w, f'{b}.ln_2', x, eps) @ w[f'{b}.mlp.c_fc.weight'].T + w[f'{b}.mlp.c_fc.bias']
        x = x + quick_gelu(hidden) @ w[f'{b}.mlp.c_proj.weight'].T + w[f'{b}.mlp.c_proj.bias']
        number += 1
    return x


def encode_text(w, tokens, heads=None):
    """Features (D,) of one caption, taken at its highest token."""
    x = w['token_embedding.weight'][tokens] + w['positional_embedding'][: len(tokens)]
    x = norm(w, 'ln_final', blocks(w, 'transformer.resblocks', x, causal=True, heads=heads), 1e-5)
    return x[tokens.argmax()] @ w['text_projection']


def encode_frames(w, frames, heads=None):
    """Features (T, D) of the real frames (T, 3, H, W) of one video."""
    if 'visual.conv2.weight' in w:
        patches = F.conv3d(
            frames.transpose(0, 1)[None],
            w['visual.conv2.weight'],
            stride=(1, PATCH, PATCH),
            padding=(1, 0, 0),
        )[0].transpose(0, 1)
    else:
        patches = F.conv2d(frames, w['visual.conv1.weight'], stride=PATCH)
    features = []
    for patch in patches.flatten(2).mT:  # (patches, width)
        x = torch.cat([w['visual.class_embedding'][None], patch]) + w['visual.positional_embedding']
        x = blocks(w, 'visual.transformer.resblocks', norm(w, 'visual.ln_pre', x, 1e-5), heads=heads)
        features.append(norm(w, 'visual.ln_post', x[0], 1e-5) @ w['visual.proj'])
    return torch.stack(features)


def score(w, head, text, frames):
    """The reference's similarity, without the scale, of a caption (D,) and the frames (T, D) of a video."""
    length = len(frames)
    if head == 'tightTransf':
        x = torch.cat([text[None], frames]) + w['cross.embeddings.position_embeddings.weight'][: length + 1]
        first = norm(w, 'cross.pooler.ln_pool', blocks(w, 'cross.transformer.resblocks', x, 1e-12)[0], 1e-12)
        pooled = quick_gelu(w['cross.pooler.dense.weight'] @ first + w['cross.pooler.dense.bias'])
        return (w['similarity_dense.weight'] @ pooled + w['similarity_dense.bias'])[0]
    if head == 'seqLSTM':
        lstm = torch.nn.LSTM(D, D).double()
        lstm.load_state_dict({key.removeprefix('lstm_visual.'): w[key] for key in w if 'lstm_visual' in key})
        frames = frames + lstm(frames)[0].detach()
    if head == 'seqTransf':
        x = frames + w['frame_position_embeddings.weight'][:length]
        frames = frames + blocks(w, 'transformerClip.resblocks', x, 1e-12)
    return F.normalize(text, dim=0) @ F.normalize(F.normalize(frames, dim=1).mean(0), dim=0)
