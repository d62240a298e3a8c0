"""The captions that a captioner writes, whatever it has learned."""

import copy
import json

import pytest
import torch

from ..datasets.transforms.test_tokenization import save_tokenizer


def videos(count):
    lengths = torch.arange(count) % 6 + 1
    return torch.randn(count, 6, 32), (torch.arange(6) < lengths[:, None]).long(), 10 * torch.arange(count)


def loud(model):
    """Redraw the decoder so that every video gets words of its own."""
    for parameter in model.decoder.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize('method', ['beam', 'greedy', 'sample'])
def test_a_videos_caption_is_the_same_in_a_batch_of_32_and_alone(build, method):
    model = loud(build(generation=dict(method=method, max_new_tokens=12)))
    frames, mask, video_key = videos(32)
    together, scores = model.generate(frames, mask, video_key)
    assert len(set(together)) > 16
    for v, length in enumerate(mask.sum(dim=1)):
        one = slice(v, v + 1)
        (alone,), (score,) = model.generate(frames[one, :length], mask[one, :length], video_key[one])
        assert alone == together[v] and score == pytest.approx(scores[v], rel=1e-4)


def test_a_copy_writes_the_same_captions(build):  # as hooks that average weights keep one
    model, (frames, mask, _) = loud(build(generation=dict(max_new_tokens=12))), videos(8)
    written = model.generate(frames, mask)[0]
    assert copy.deepcopy(model).generate(frames, mask)[0] == written and any(' ' in w for w in written)


def test_sampling_without_what_names_the_videos_is_refused(build):
    frames, mask, _ = videos(2)
    with pytest.raises(ValueError, match='sampling needs video_key'):
        build(generation=dict(method='sample')).generate(frames, mask)


def test_a_beam_of_one_is_greedy(build):
    frames, mask, _ = videos(8)
    beam, greedy = (
        loud(build(generation=dict(options, max_new_tokens=12))).generate(frames, mask)[0]
        for options in (dict(method='beam', beam_size=1), dict(method='greedy'))
    )
    assert beam == greedy and len(set(greedy)) > 4


def test_sampling_depends_on_the_seed_and_nothing_else(build):
    def write(**seed):
        return build(generation=dict(method='sample', max_new_tokens=12, **seed)).generate(*clips)[0]

    clips = videos(4)
    first, again, other = write(seed=3), write(seed=3), write(seed=4)
    assert write() == write(seed=0) != first
    assert first == again and len(set(first)) == 4
    assert not set(first) & set(other)


def test_a_tokenizer_with_ids_that_no_token_has_fits(build, tmp_path):
    name = save_tokenizer(tmp_path, bos_token='[S]', eos_token='[E]')
    saved = json.loads((tmp_path / 'tokenizer.json').read_text())
    saved['model']['vocab']['[E]'] = saved['added_tokens'][-1]['id'] = 9
    (tmp_path / 'tokenizer.json').write_text(json.dumps(saved))
    model = build(tokenizer=name, decoder=dict(tie_embeddings=False))
    assert model.decoder.vocab_size == 10 and (model.start, model.end) == (3, 9)
    frames, mask, _ = videos(8)
    assert set(' '.join(loud(model).generate(frames, mask)[0]).split()) <= {'[UNK]', 'red', 'circle'}
