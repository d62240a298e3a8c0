import copy
import logging

import pytest
import torch
from mmaction.registry import MODELS
from torch import nn

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.decoders import CaptionDecoder, GenerationOptions

from . import plain_decoder

HEADS = 4
WAYS = dict(
    tied=dict(),
    shorter_vocabulary=dict(vocab_size=400),
    free=dict(tie_embeddings=False, vocab_size=50, max_positions=9, width=24, num_layers=1),
)
TOKENS = torch.tensor([[0, 7, 30, 2, 1], [0, 9, 1, 1, 1], [0, 4, 4, 1, 0]])
WORDS, FRAMES = [5, 3, 4], [3, 1, 2]


def mask(lengths):
    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def build(tiny_clip, **kwargs):
    tiny_clip['projection_dim'] = kwargs.pop('frame_width', 32)
    model = nn.Module()
    model.backbone = CLIPBackbone(config=tiny_clip, embedding_std=dict(text=0.3))
    model.decoder = MODELS.build(
        dict(dict(type='CaptionDecoder', num_layers=2, num_heads=HEADS), **kwargs),
        default_args=dict(backbone=model.backbone),
    )
    return model.eval()


def embeddings(model):
    text = model.backbone.clip.text_model.embeddings
    return text.token_embedding.weight, text.position_embedding.weight


def inputs(width=32, dtype=torch.float32):
    return TOKENS, mask(WORDS), torch.randn(3, 3, width).to(dtype), mask(FRAMES)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('frame_width', [32, 16])
def test_logits_and_gradients_equal_the_formula_in_float64(tiny_clip, way, frame_width):
    model = build(tiny_clip, frame_width=frame_width, **WAYS[way]).double()
    decoder = model.decoder
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    tokens, text_mask, frames, frame_mask = inputs(frame_width, torch.float64)
    weights = {k: v.detach().clone().requires_grad_() for k, v in decoder.state_dict().items()}
    if way == 'free':
        words, positions = weights['transformer.wte.weight'], weights['transformer.wpe.weight']
    else:
        words, positions = (e.detach().clone().requires_grad_() for e in embeddings(model))
    logits = decoder(tokens, text_mask, frames, frame_mask)
    real, total = text_mask.bool(), 0
    for n in range(3):
        expected = plain_decoder.decode(
            weights,
            words[: decoder.vocab_size],
            positions,
            tokens[n, : WORDS[n]],
            frames[n, : FRAMES[n]],
            HEADS,
        )
        torch.testing.assert_close(logits[n, : WORDS[n]], expected)
        total = total + (expected * expected.detach().cos()).sum()
    total.backward()
    (logits[real] * logits[real].detach().cos()).sum().backward()
    for name, parameter in decoder.named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name].grad, msg=name)
    if way != 'free':
        for ours, theirs in zip(embeddings(model), (words, positions)):
            torch.testing.assert_close(ours.grad, theirs.grad)
    else:
        assert embeddings(model)[0].grad is None


def test_padding_of_words_and_frames_changes_nothing(tiny_clip):
    decoder = build(tiny_clip).decoder
    tokens, text_mask, frames, frame_mask = inputs()
    expected = decoder(tokens, text_mask, frames, frame_mask)[text_mask.bool()]
    noisy = torch.where(frame_mask.bool()[..., None], frames, torch.tensor(50.0))
    noisy = torch.cat([noisy, torch.randn(3, 2, 32)], dim=1)
    more = torch.cat([torch.where(text_mask.bool(), tokens, 99), torch.full((3, 4), 98)], dim=1)
    out = decoder(more, nn.functional.pad(text_mask, (0, 4)), noisy, nn.functional.pad(frame_mask, (0, 2)))
    torch.testing.assert_close(out[:, :5][text_mask.bool()], expected)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('method', ['greedy', 'beam'])
def test_generation_with_a_cache_gives_what_the_whole_caption_gives(tiny_clip, way, method):
    model = build(tiny_clip, **WAYS[way])
    decoder = model.decoder
    torch.manual_seed(12)  # transformers 4 and 5 draw other numbers before
    for parameter in (*decoder.parameters(), *embeddings(model)):
        nn.init.normal_(parameter, std=0.3)
    frames, frame_mask = torch.randn(8, 3, 32), mask(FRAMES * 2 + [3, 1])
    options = GenerationOptions(7, method=method, beam_size=3)
    found = decoder.generate(frames, frame_mask, 0, 1, options)
    for v, (tokens, length) in enumerate(zip(found.tokens.tolist(), found.lengths.tolist())):
        caption = torch.tensor([[0, *tokens[:length], 1][:8]])
        one, whole = slice(v, v + 1), caption.shape[1] - 1
        logits = decoder(caption, torch.ones_like(caption), frames[one], frame_mask[one])[0, :whole]
        score = logits.log_softmax(dim=1).gather(1, caption[0, 1:, None]).sum() / (
            whole if method == 'beam' else 1
        )
        assert found.scores[v].item() == pytest.approx(score.item(), rel=1e-4)
        if method == 'greedy':
            assert logits.argmax(dim=1).tolist() == caption[0, 1:].tolist()
    assert len({tuple(tokens) for tokens in found.tokens.tolist()}) > 4


@pytest.mark.parametrize('method', ['greedy', 'beam'])
def test_each_step_reads_one_token_and_the_frames_once(tiny_clip, method):
    decoder, lengths, frames_read = build(tiny_clip).decoder, [], []
    blocks = decoder.transformer
    blocks.wpe.register_forward_hook(lambda module, args, out: lengths.append(args[0].shape[-1]))
    blocks.h[0].crossattention.c_attn.register_forward_hook(lambda *args: frames_read.append(1))
    options = GenerationOptions(6, method=method, beam_size=2, min_new_tokens=6)
    decoder.generate(torch.randn(2, 3, 32), torch.ones(2, 3), 0, 1, options)
    assert lengths == [1] * 6 and len(frames_read) == 1


def test_a_decoder_is_the_same_after_it_generated(tiny_clip):
    decoder = build(tiny_clip).decoder
    names, config = list(decoder.state_dict()), decoder.transformer.config.to_dict()
    decoder.generate(torch.randn(2, 3, 32), torch.ones(2, 3), 0, 1, GenerationOptions(3))
    assert list(decoder.state_dict()) == names and decoder.transformer.config.to_dict() == config


def test_all_positions_can_be_generated_without_a_warning(tiny_clip, caplog, monkeypatch):
    decoder = build(tiny_clip, **WAYS['free']).decoder
    monkeypatch.setattr(logging.getLogger('transformers'), 'propagate', True)
    options = GenerationOptions(9, min_new_tokens=9)
    found = decoder.generate(torch.randn(2, 3, 32), torch.ones(2, 3), 1, 1, options)  # the start is the end
    assert found.lengths.tolist() == [9, 9] and not caplog.records


def test_tied_embeddings_are_clips_and_saved_once(tiny_clip):
    model = build(tiny_clip)
    words = embeddings(model)[0]
    names = [k for k, v in model.state_dict().items() if v.data_ptr() == words.data_ptr()]
    assert names == ['backbone.clip.text_model.embeddings.token_embedding.weight']
    assert not [k for k in model.state_dict() if 'wte' in k or 'wpe' in k]
    assert [n for n, p in model.decoder.named_parameters() if p.numel() >= words.numel()] == []


def test_embeddings_stay_tied_in_a_copy_and_in_another_precision(tiny_clip):
    model = build(tiny_clip)
    twin = copy.deepcopy(model).double()
    assert twin.decoder.transformer.wte.weight is embeddings(twin)[0]
    assert twin.decoder.transformer.wpe.weight is embeddings(twin)[1]
    embeddings(twin)[0].data.zero_()
    tokens, text_mask, frames, frame_mask = inputs()
    assert twin.decoder(tokens, text_mask, frames.double(), frame_mask).eq(0).all()
    assert model.decoder(tokens, text_mask, frames, frame_mask).ne(0).any()


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (
            dict(width=64),
            'width=64 of CaptionDecoder does not fit .* 1000 tokens and 24 positions of width 32',
        ),
        (dict(vocab_size=1001), 'vocab_size=1001 of CaptionDecoder does not fit .* 1000 tokens'),
        (dict(max_positions=77), 'max_positions=77 of CaptionDecoder does not fit .* 24 positions'),
        (dict(tie_embeddings=False), 'needs vocab_size'),
        (dict(num_heads=5), 'num_heads=5 of CaptionDecoder does not divide its width=32'),
        (dict(num_heads=0), 'num_heads of CaptionDecoder must be an integer from 1 on, got 0'),
        (dict(num_layers=0), 'num_layers of CaptionDecoder must be an integer from 1 on, got 0'),
        (dict(width=0), 'width of CaptionDecoder must be an integer from 1 on, got 0'),
        (dict(max_positions=-1), 'max_positions of CaptionDecoder must be an integer from 1 on, got -1'),
        (dict(vocab_size='9'), "vocab_size of CaptionDecoder must be an integer from 1 on, got '9'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tiny_clip, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(tiny_clip, **kwargs)


def test_captions_that_do_not_fit_are_refused(tiny_clip):
    decoder = build(tiny_clip, **WAYS['free']).decoder
    tokens, text_mask, frames, frame_mask = inputs()
    with pytest.raises(ValueError, match='token 50 is not one of the 50 tokens of CaptionDecoder'):
        decoder(tokens.masked_fill(tokens == 30, 50), text_mask, frames, frame_mask)
    with pytest.raises(ValueError, match='captions of 10 tokens do not fit the 9 positions'):
        decoder(tokens.repeat(1, 2), text_mask.repeat(1, 2), frames, frame_mask)


@pytest.mark.parametrize('dropout', [0.0, 0.5])
def test_dropout_is_random_in_training_only(tiny_clip, dropout):
    decoder = build(tiny_clip, dropout=dropout).decoder
    once, twice = (decoder(*inputs_) for inputs_ in [inputs()] * 2)
    torch.testing.assert_close(once, twice)
    decoder.train()
    once, twice = (decoder(*inputs_) for inputs_ in [inputs()] * 2)
    assert torch.equal(once, twice) == (dropout == 0)
    config = decoder.transformer.config
    assert config.embd_pdrop == config.attn_pdrop == config.resid_pdrop == dropout


def test_three_layers_are_the_default(tiny_clip):
    torch.manual_seed(0)
    decoder = MODELS.build(
        dict(type='CaptionDecoder'), default_args=dict(backbone=CLIPBackbone(config=tiny_clip))
    )
    assert len(decoder.transformer.h) == 3


def test_mmengines_init_weights_does_not_draw_the_weights_again(tiny_clip):
    backbone = CLIPBackbone(config=tiny_clip)
    decoder = CaptionDecoder(backbone, num_layers=1, num_heads=2)
    before = {key: value.clone() for key, value in decoder.state_dict().items()}
    decoder.init_weights()
    assert before and all(torch.equal(value, before[key]) for key, value in decoder.state_dict().items())
