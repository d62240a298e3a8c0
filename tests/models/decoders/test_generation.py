import math
from functools import partial

import numpy as np
import pytest
import torch
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

from mmclip4clip.models.decoders import beam_search, generate, greedy_search, sample

from .plain import TableDecoder, captions, log_probs_after, logits_after, search, states


def starts(rows):
    return torch.zeros(len(rows), dtype=torch.int64)


class CachedGPT2:
    """A language model of transformers; the state is its cache of keys and values."""

    def __init__(self, model):
        self.model = model

    def step(self, tokens, state):
        return self.model(tokens[:, None], past_key_values=state, use_cache=True).logits[:, -1], state

    def reorder(self, state, rows):
        state.reorder_cache(rows)
        return state


class PrefixGPT2(CachedGPT2):
    """The same model run on all tokens so far, which are the state."""

    def step(self, tokens, state):
        state = tokens[:, None] if state is None else torch.cat([state, tokens[:, None]], dim=1)
        return self.model(state, use_cache=False).logits[:, -1], state

    def reorder(self, state, rows):
        return state if state is None else state[rows]


@pytest.fixture(scope='module')
def gpt2():
    torch.manual_seed(2)
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=24, n_positions=24, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1,
        initializer_range=0.3)).eval()
    model.transformer.wte.weight.data[1] *= 2  # so that captions end, and at different times
    model.generation_config.pad_token_id = 1
    return model


FIRST = torch.arange(2, 22)  # a row each


def strip(sequences, end=1):
    """Read transformers' sequences as captions."""
    read = []
    for tokens in sequences[:, 1:].tolist():
        read.append(tuple(tokens[:tokens.index(end)] if end in tokens else tokens))
    return read


@pytest.mark.parametrize('least', [0, 3, 12])
def test_greedy_search_is_that_of_transformers(gpt2, least):
    found = greedy_search(CachedGPT2(gpt2), DynamicCache(), FIRST, 1, max_new_tokens=12, min_new_tokens=least)
    theirs = gpt2.generate(FIRST[:, None], do_sample=False, max_new_tokens=12, min_new_tokens=least)
    assert captions(found) == strip(theirs)
    assert found.lengths.min() < 12 or least == 12


@pytest.mark.parametrize('penalty', [0., 1., 2.])
@pytest.mark.parametrize('least', [0, 4])
def test_beam_search_is_that_of_transformers(gpt2, penalty, least):
    options = dict(length_penalty=penalty, max_new_tokens=12, min_new_tokens=least)
    found = beam_search(CachedGPT2(gpt2), DynamicCache(), FIRST, 1, beam_size=4, **options)
    theirs = gpt2.generate(FIRST[:, None], do_sample=False, num_beams=4, early_stopping=True,
                           return_dict_in_generate=True, output_scores=True, **options)
    assert captions(found) == strip(theirs.sequences)
    torch.testing.assert_close(found.scores, theirs.sequences_scores)


WAYS = [dict(method='greedy'), dict(method='beam', beam_size=4), dict(method='sample', seeds=range(20))]
each_way = pytest.mark.parametrize('way', WAYS, ids=[way['method'] for way in WAYS])


@each_way
def test_a_cache_changes_nothing(gpt2, way):
    options = dict(way, max_new_tokens=14, min_new_tokens=1, no_repeat_ngram=2)
    cached = generate(CachedGPT2(gpt2), DynamicCache(), FIRST, 1, **options)
    again = generate(PrefixGPT2(gpt2), None, FIRST, 1, **options)
    assert captions(cached) == captions(again)
    torch.testing.assert_close(cached.scores, again.scores)


@each_way
def test_a_model_gives_a_row_the_same_caption_in_any_batch(gpt2, way):
    def run(rows):
        seeds = dict(seeds=list(rows)) if 'seeds' in way else {}
        return generate(CachedGPT2(gpt2), DynamicCache(), FIRST[rows], 1, max_new_tokens=14,
                        **{**way, **seeds})

    whole = captions(run(range(20)))
    assert whole == [caption for row in range(20) for caption in captions(run([row]))]
    assert whole == captions(run(range(13))) + captions(run(range(13, 20)))
    assert len(set(map(len, whole))) > 3  # they end at different times


@pytest.mark.parametrize('least, ngram', [(0, 0), (3, 0), (0, 1), (4, 2)])
def test_greedy_search_takes_the_most_probable_token(least, ngram):
    rows = range(12)
    found = greedy_search(TableDecoder(), states(rows), starts(rows), 1, max_new_tokens=5,
                          min_new_tokens=least, no_repeat_ngram=ngram)
    plain = [search(row, 0, 1, 1, 5, least, 0, ngram) for row in rows]
    assert captions(found) == [tokens for tokens, _ in plain]
    assert found.scores.tolist() == pytest.approx([score for _, score in plain], rel=1e-5)


def test_greedy_search_goes_on_with_unfinished_rows_alone():
    def ends_after_as_many_tokens_as_its_number(row, prefix):
        return np.float32([0, 20 if len(prefix) > row else -20, 5, 0])

    decoder = TableDecoder(ends_after_as_many_tokens_as_its_number)
    found = greedy_search(decoder, states([3, 0, 1, 3]), starts(range(4)), 1, max_new_tokens=9)
    assert captions(found) == [(2, 2, 2), (), (2,), (2, 2, 2)]
    assert decoder.steps == [4, 3, 2, 2]


def test_a_sample_depends_on_its_seed_alone():
    def run(rows, seeds):
        return captions(sample(TableDecoder(), states(rows), starts(rows), 1, seeds=seeds, max_new_tokens=8))

    whole = run([7] * 32, range(32))
    assert whole == run([7] * 32, range(32))
    assert whole == [caption for seed in range(32) for caption in run([7], [seed])]
    assert whole == run([7] * 32, range(31, -1, -1))[::-1]
    assert len(set(whole)) > 10


def test_a_samples_score_is_its_log_probability_before_temperature_and_cuts():
    rows = range(12)
    found = sample(TableDecoder(), states(rows), starts(rows), 1, seeds=rows, temperature=2, top_k=4,
                   top_p=.9, max_new_tokens=6)
    for row, tokens, score in zip(rows, captions(found), found.scores.tolist()):
        whole = tokens if len(tokens) == 6 else (*tokens, 1)
        assert score == pytest.approx(
            sum(log_probs_after(row, (0, *whole[:i]))[token] for i, token in enumerate(whole)), rel=1e-5)


def cut(probs, temperature=1., top_k=6, top_p=1.):
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


@pytest.mark.parametrize('options', [
    {}, dict(temperature=2.), dict(temperature=.5), dict(top_k=3), dict(top_p=.8), dict(top_p=.1),
    dict(temperature=3, top_k=5, top_p=.9)])
def test_tokens_are_drawn_with_their_probabilities(options):
    draws = 3000
    rows = [1] * draws
    found = sample(TableDecoder(end=5), states(rows), starts(rows), 5, seeds=range(draws), max_new_tokens=1,
                   **options)
    drawn = [tokens[0] if tokens else 5 for tokens in captions(found, end=5)]
    probs = cut([math.exp(value) for value in log_probs_after(1, (0,))], **options)
    counts = [drawn.count(token) for token in range(6)]
    assert all(count == 0 for count, prob in zip(counts, probs) if prob == 0)
    kept = [(count, draws * prob) for count, prob in zip(counts, probs) if prob > 0]
    statistic = sum((count - expected) ** 2 / expected for count, expected in kept)
    assert statistic < 20.5  # the 99.9th percentile of chi-square with 5 degrees of freedom; fewer have less


def test_drawing_from_the_best_token_is_greedy_search():
    rows, options = range(16), dict(max_new_tokens=8, min_new_tokens=2, no_repeat_ngram=2)
    drawn = sample(TableDecoder(), states(rows), starts(rows), 1, seeds=rows, top_k=1, **options)
    greedy = greedy_search(TableDecoder(), states(rows), starts(rows), 1, **options)
    assert captions(drawn) == captions(greedy)
    torch.testing.assert_close(drawn.scores, greedy.scores)


@pytest.mark.parametrize('options, message', [
    (dict(seeds=[1]), 'seeds must be one a row of start, 2, got 1'),
    (dict(temperature=0), 'temperature must be above 0, got 0'),
    (dict(temperature=float('inf')), 'temperature must be a finite number, got inf'),
    (dict(top_k=-1), 'top_k must be an integer from 0 on, got -1'),
    (dict(top_p=0), 'top_p must be above 0 and at most 1, got 0'),
    (dict(top_p=1.5), 'top_p must be above 0 and at most 1, got 1.5')])
def test_options_of_sampling_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sample(TableDecoder(), states(range(2)), starts(range(2)), 1, max_new_tokens=3,
               **{'seeds': [1, 2], **options})


def test_a_way_is_chosen_by_its_name():
    run = partial(generate, TableDecoder(), states(range(4)), starts(range(4)), 1, max_new_tokens=5)
    plain = [search(row, 0, 1, 3, 5, penalty=.5)[0] for row in range(4)]
    assert captions(run(beam_size=3, length_penalty=.5)) == plain
    assert captions(run(method='greedy')) == [search(row, 0, 1, 1, 5)[0] for row in range(4)]
    with pytest.raises(ValueError, match="method must be 'beam', 'greedy' or 'sample', got 'best'"):
        run(method='best')
    with pytest.raises(TypeError, match='beam_size'):
        run(method='greedy', beam_size=3)


def test_logits_of_the_tables_differ_from_prefix_to_prefix():
    prefixes = ((0,), (0, 1), (1, 0))
    assert len({logits_after(row, prefix).tobytes() for row in range(3) for prefix in prefixes}) == 9


def test_a_share_is_cut_from_what_the_most_probable_tokens_leave():
    def logits(row, prefix):  # of the two best, 0.4 alone holds 0.6; of all tokens only both do
        return np.log(np.float32([.02, 1e-6, .4, .2, .19, .19]))

    rows = range(200)
    found = sample(TableDecoder(logits), states(rows), starts(rows), 1, seeds=list(rows), top_k=2, top_p=.6,
                   max_new_tokens=1)
    assert set(captions(found)) == {(2, )}
