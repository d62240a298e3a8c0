import math
from functools import partial

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from mmclip4clip.models.decoders import GenerationOptions, generate

from .plain import TableModel, captions, log_probs_after, logits_after, run, search


@pytest.fixture(scope='module')
def gpt2():
    torch.manual_seed(2)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=24,
            n_positions=24,
            n_embd=32,
            n_layer=2,
            n_head=2,
            bos_token_id=0,
            eos_token_id=1,
            initializer_range=0.3,
        )
    ).eval()
    model.transformer.wte.weight.data[1] *= 2  # so that captions end, and at different times
    model.generation_config.pad_token_id = 1
    return model


FIRST = torch.arange(2, 22)  # a row each


def strip(sequences, end=1):
    """Read transformers' sequences as captions."""
    read = []
    for tokens in sequences[:, 1:].tolist():
        read.append(tuple(tokens[: tokens.index(end)] if end in tokens else tokens))
    return read


WAYS = [dict(method='greedy'), dict(method='beam', beam_size=4), dict(method='sample')]
each_way = pytest.mark.parametrize('way', WAYS, ids=[way['method'] for way in WAYS])


@each_way
def test_a_model_gives_a_row_the_same_caption_in_any_batch(gpt2, way):
    def write(rows):
        seeds = list(rows) if way['method'] == 'sample' else None
        options = GenerationOptions(max_new_tokens=14, **way)
        return captions(generate(gpt2, {}, FIRST[rows], 1, options, seeds))

    whole = write(range(20))
    assert whole == [caption for row in range(20) for caption in write([row])]
    assert whole == write(range(13)) + write(range(13, 20))
    assert len(set(map(len, whole))) > 3  # they end at different times


@pytest.mark.parametrize('least, ngram', [(0, 0), (3, 0), (0, 1), (4, 2)])
def test_greedy_search_takes_the_most_probable_token(least, ngram):
    rows = range(12)
    found = run(rows, method='greedy', max_new_tokens=5, min_new_tokens=least, no_repeat_ngram=ngram)
    plain = [search(row, 0, 1, 1, 5, least, 0, ngram) for row in rows]
    assert captions(found) == [tokens for tokens, _ in plain]
    assert found.scores.tolist() == pytest.approx([score for _, score in plain], rel=1e-5)


def test_greedy_search_goes_on_until_the_last_row_is_done():
    def ends_after_as_many_tokens_as_its_number(row, prefix):
        return np.float32([0, 20 if len(prefix) > row else -20, 5, 0])

    model = TableModel(ends_after_as_many_tokens_as_its_number)
    found = run([3, 0, 1, 3], model=model, method='greedy', max_new_tokens=9)
    assert captions(found) == [(2, 2, 2), (), (2,), (2, 2, 2)]
    assert model.steps == [4] * 4


def test_a_sample_depends_on_its_seed_alone():
    def draw(rows, seeds):
        return captions(run(rows, seeds=seeds, method='sample', max_new_tokens=8))

    whole = draw([7] * 32, range(32))
    assert whole == draw([7] * 32, range(32))
    assert whole == [caption for seed in range(32) for caption in draw([7], [seed])]
    assert whole == draw([7] * 32, range(31, -1, -1))[::-1]
    assert len(set(whole)) > 10


def test_a_samples_score_is_its_log_probability_before_temperature_and_cuts():
    rows = range(12)
    found = run(rows, seeds=rows, method='sample', temperature=2, top_k=4, top_p=0.9, max_new_tokens=6)
    for row, tokens, score in zip(rows, captions(found), found.scores.tolist()):
        whole = tokens if len(tokens) == 6 else (*tokens, 1)
        assert score == pytest.approx(
            sum(log_probs_after(row, (0, *whole[:i]))[token] for i, token in enumerate(whole)), rel=1e-5
        )


def cut(probs, temperature=1.0, top_k=6, top_p=1.0):
    """Change a distribution as asked, in plain Python."""
    probs = [math.exp(math.log(p) / temperature) for p in probs]
    ranked = sorted(range(6), key=lambda token: -probs[token])[:top_k]
    total, kept, mass = sum(probs[token] for token in ranked), [], 0
    for token in ranked:
        if mass < top_p:
            kept.append(token)
            mass += probs[token] / total
    total = sum(probs[token] for token in kept)
    return [probs[token] / total if token in kept else 0 for token in range(6)]


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(temperature=2.0),
        dict(temperature=0.5),
        dict(top_k=3),
        dict(top_p=0.8),
        dict(top_p=0.1),
        dict(temperature=3, top_k=5, top_p=0.9),
    ],
)
def test_tokens_are_drawn_with_their_probabilities(options):
    draws = 3000
    rows = [1] * draws
    found = run(rows, end=5, seeds=range(draws), method='sample', max_new_tokens=1, **options)
    drawn = [tokens[0] if tokens else 5 for tokens in captions(found, end=5)]
    probs = cut([math.exp(value) for value in log_probs_after(1, (0,))], **options)
    counts = [drawn.count(token) for token in range(6)]
    assert all(count == 0 for count, prob in zip(counts, probs) if prob == 0)
    kept = [(count, draws * prob) for count, prob in zip(counts, probs) if prob > 0]
    statistic = sum((count - expected) ** 2 / expected for count, expected in kept)
    assert statistic < 20.5  # the 99.9th percentile of chi-square with 5 degrees of freedom; fewer have less


def test_drawing_from_the_best_token_is_greedy_search():
    rows, options = range(16), dict(max_new_tokens=8, min_new_tokens=2, no_repeat_ngram=2)
    drawn = run(rows, seeds=rows, method='sample', top_k=1, **options)
    greedy = run(rows, method='greedy', **options)
    assert captions(drawn) == captions(greedy)
    torch.testing.assert_close(drawn.scores, greedy.scores)


@pytest.mark.parametrize('seeds', [None, [1]])
def test_sampling_needs_a_seed_a_row(seeds):
    with pytest.raises(ValueError, match='seeds must be one per row of start, 2, got'):
        run(range(2), seeds=seeds, method='sample', max_new_tokens=3)


def test_a_way_is_chosen_by_its_name():
    write = partial(run, range(4), max_new_tokens=5)
    plain = [search(row, 0, 1, 3, 5, penalty=0.5)[0] for row in range(4)]
    assert captions(write(beam_size=3, length_penalty=0.5)) == plain
    assert captions(write(method='greedy')) == [search(row, 0, 1, 1, 5)[0] for row in range(4)]
    with pytest.raises(ValueError, match="method must be one of .* got 'best'"):
        write(method='best')


def test_logits_of_the_tables_differ_from_prefix_to_prefix():
    prefixes = ((0,), (0, 1), (1, 0))
    assert len({logits_after(row, prefix).tobytes() for row in range(3) for prefix in prefixes}) == 9


def test_a_share_is_cut_from_what_the_most_probable_tokens_leave():
    def logits(row, prefix):  # of the two best, 0.4 alone holds 0.6; of all tokens only both do
        return np.log(np.float32([0.02, 1e-6, 0.4, 0.2, 0.19, 0.19]))

    rows = range(200)
    found = run(rows, logits, seeds=list(rows), method='sample', top_k=2, top_p=0.6, max_new_tokens=1)
    assert set(captions(found)) == {(2,)}
