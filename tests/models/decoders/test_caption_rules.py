import numpy as np
import pytest
import torch
from transformers.modeling_outputs import CausalLMOutput

from . import plain
from .plain import TableModel, captions, logits_after

METHODS = [dict(method='greedy'), dict(method='beam', beam_size=2), dict(method='sample', seeds=[3, 4])]
each_method = pytest.mark.parametrize('method', METHODS, ids=[m['method'] for m in METHODS])


def run(method, logits=logits_after, start=(0, 0), max_new_tokens=6, **options):
    return plain.run(range(len(start)), logits, start, max_new_tokens=max_new_tokens, **method, **options)


def end_first(row, prefix):
    """Row 0 ends at once almost surely, row 1 after two tokens."""
    logits = np.zeros(6, 'float32')
    logits[1] = 30 if len(prefix) > 2 * row else -30
    logits[2] = 10
    return logits


@each_method
def test_a_caption_can_be_empty(method):
    assert captions(run(method, end_first)) == [(), (2, 2)]


@each_method
def test_an_empty_caption_alone_has_no_tokens(method):
    method = {**method, 'seeds': [0]} if 'seeds' in method else method
    found = run(method, end_first, start=(0,), max_new_tokens=5)
    assert found.tokens.shape == (1, 0) and found.lengths.tolist() == [0]
    assert found.scores.item() == pytest.approx(0, abs=1e-6)


@each_method
@pytest.mark.parametrize('least', [1, 2, 4])
def test_a_minimum_length_keeps_the_end_away_until_then(method, least):
    found = run(method, end_first, min_new_tokens=least)
    assert found.lengths.tolist() == [least, max(least, 2)]
    assert captions(found)[0] == (2,) * least  # its best other token, with exp(-20), the probability it had
    length = least + 1 if method['method'] == 'beam' else 1
    assert found.scores[0].item() == pytest.approx(-20 * least / length, abs=1e-3)


@each_method
def test_a_maximum_length_cuts_a_caption(method):
    found = run(method, lambda row, prefix: np.float32([0, -30, 30, 0, 0, 0]), max_new_tokens=3)
    assert captions(found) == [(2, 2, 2)] * 2
    assert found.scores.tolist() == pytest.approx([0, 0], abs=1e-6)  # no end token is counted


@each_method
@pytest.mark.parametrize('ngram', [1, 2, 3])
def test_no_ngram_comes_twice(method, ngram):
    def counts_round(row, prefix):
        logits = logits_after(row, prefix) / 10  # no ties
        logits[2 + (prefix[-1] - 1) % 3] = 40  # 2 3 4 2 3 4 ...
        logits[1] = -60
        return logits

    def repeats(caption):
        grams = [caption[i : i + ngram] for i in range(len(caption) - ngram + 1)]
        return len(grams) - len(set(grams))

    repeated = run(method, counts_round, start=(4, 4), max_new_tokens=9)
    assert captions(repeated) == [(2, 3, 4) * 3] * 2
    most = 5 if ngram == 1 else 9
    found = run(method, counts_round, start=(4, 4), max_new_tokens=most, no_repeat_ngram=ngram)
    for caption in captions(found):
        assert len(caption) == most and repeats(caption) == 0
        if method['method'] != 'beam':  # which finds a better caption than one that begins like this
            assert caption[: 2 + ngram] == (2, 3, 4, 2, 3)[: 2 + ngram]
    if method['method'] == 'beam':
        best = [plain.search(row, 4, 1, 2, most, 0, 1.0, ngram, counts_round)[0] for row in range(2)]
        assert captions(found) == best


@each_method
def test_half_precision_logits_are_summed_in_single_precision(method):
    class Half(TableModel):
        def forward(self, input_ids, rows, attention_mask=None, return_dict=True):
            return CausalLMOutput(logits=super().forward(input_ids, rows).logits.bfloat16())

    found = run(method, model=Half(), max_new_tokens=4)
    assert found.scores.dtype == torch.float32


def nan(row, prefix):
    return logits_after(row, prefix) if row or len(prefix) < 2 else np.full(6, np.nan, 'float32')


def one_infinite(row, prefix):
    return np.float32([np.inf, 0, 0, 0, 0, 0])


@each_method
@pytest.mark.parametrize('logits', [nan, one_infinite, lambda row, prefix: np.full(6, -np.inf, 'float32')])
def test_broken_logits_are_refused(method, logits):
    with pytest.raises(ValueError, match=r'logits with NaN, \+inf or only -inf in \d of \d rows'):
        run(method, logits, min_new_tokens=2)


@each_method
def test_tokens_that_the_decoder_rules_out_are_never_taken(method):
    def only_the_end(row, prefix):
        return np.float32([-np.inf, 0, -np.inf, -np.inf, -np.inf, -np.inf])

    assert captions(run(method, only_the_end)) == [(), ()]
    with pytest.raises(ValueError, match='min_new_tokens=1'):
        run(method, only_the_end, min_new_tokens=1)


@each_method
@pytest.mark.parametrize(
    'options, message',
    [
        (dict(end=-1), 'end must be at least 0 and below 6, the size of the vocabulary, got -1'),
        (dict(end=6), 'end must be at least 0 and below 6, the size of the vocabulary, got 6'),
        (dict(start=(0, 6)), 'a token of start must be at least 0 and below 6, .*, got 6'),
        (dict(start=(-2, 0)), 'a token of start must be at least 0 and below 6, .*, got -2'),
        (
            dict(start=((0, 0), (0, 0))),
            r'start must be one token per row, \(B,\) int64, got \(2, 2\) torch.int64',
        ),
        (dict(start=(0.0, 1.0)), r'start must be one token per row, \(B,\) int64, got \(2,\) torch.float32'),
    ],
)
def test_arguments_out_of_range_are_refused(method, options, message):
    with pytest.raises(ValueError, match=message):
        run(method, **options)


@each_method
def test_the_start_token_is_none_of_a_captions_ngrams(method):
    def says_the_start_token_too(row, prefix):
        logits = np.full(6, -30, 'float32')
        logits[{0: 2, 2: 0}.get(prefix[-1], 1) if len(prefix) < 3 else 1] = 30
        return logits

    found = run(method, says_the_start_token_too, no_repeat_ngram=1)
    assert captions(found) == [(2, 0)] * 2


@each_method
def test_the_end_token_may_be_the_start_token(method):
    def two_words(row, prefix):
        logits = np.full(6, -30, 'float32')
        logits[len(prefix) + 1 if len(prefix) < 3 else 1] = 30
        return logits

    found = run(method, two_words, start=(1, 1), no_repeat_ngram=1)
    assert captions(found) == [(2, 3)] * 2
