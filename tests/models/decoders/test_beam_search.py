from functools import partial

import numpy as np
import pytest
import torch

from .plain import TableModel, captions, logits_after, run, score_every_caption, search

TINY = partial(logits_after, vocabulary=4)


@pytest.mark.parametrize('penalty', [0, 0.7, 1, 2, -1])
@pytest.mark.parametrize('least, most', [(0, 4), (2, 4), (0, 1), (1, 2), (3, 3)])
def test_a_wide_beam_is_an_exhaustive_search(penalty, least, most):
    rows = range(6)
    found = run(
        rows,
        TINY,
        beam_size=4 * 3 ** (most - 1),
        length_penalty=penalty,
        max_new_tokens=most,
        min_new_tokens=least,
    )
    for row, tokens, score in zip(rows, captions(found), found.scores.tolist()):
        every = score_every_caption(row, 0, 1, most, least, penalty, 4, TINY)
        assert len(every) == sum(3**n for n in range(least, most + 1))
        assert tokens == max(every, key=every.get)
        assert score == pytest.approx(every[tokens], rel=1e-5)


@pytest.mark.parametrize('penalty', [0, 0.7, 1, 2])
@pytest.mark.parametrize('beams', [2, 3, 5])
@pytest.mark.parametrize('least, ngram', [(0, 0), (3, 0), (2, 1), (5, 2)])
def test_a_narrow_beam_is_the_plain_search(penalty, beams, least, ngram):
    rows = range(12)
    found = run(
        rows,
        beam_size=beams,
        length_penalty=penalty,
        max_new_tokens=5,
        min_new_tokens=least,
        no_repeat_ngram=ngram,
    )
    plain = [search(row, 0, 1, beams, 5, least, penalty, ngram) for row in rows]
    assert captions(found) == [tokens for tokens, _ in plain]
    assert found.scores.tolist() == pytest.approx([score for _, score in plain], rel=1e-5)


def test_a_wider_beam_finds_better_captions_and_a_penalty_longer_ones():
    find = partial(run, range(12), max_new_tokens=6)
    narrow, wide = (find(beam_size=beams, length_penalty=0).scores for beams in (1, 6))
    assert (wide > narrow).sum() > (wide < narrow).sum()
    lengths = [find(beam_size=6, length_penalty=penalty).lengths.sum() for penalty in (0, 1, 2)]
    assert lengths[0] < lengths[1] < lengths[2]


@pytest.mark.parametrize('penalty', [0, 1, 2])
def test_one_beam_is_greedy_search(penalty):
    rows, options = range(32), dict(max_new_tokens=7, min_new_tokens=1, no_repeat_ngram=2)
    beam = run(rows, beam_size=1, length_penalty=penalty, **options)
    greedy = run(rows, method='greedy', **options)
    assert captions(beam) == captions(greedy)
    lengths = torch.tensor([min(len(tokens) + 1, 7) for tokens in captions(greedy)])
    torch.testing.assert_close(beam.scores, greedy.scores / lengths**penalty)


def test_a_batch_of_32_finds_what_32_batches_of_one_find():
    options = dict(beam_size=4, length_penalty=0.7, max_new_tokens=8)
    batch = run(range(32), **options)
    alone = [run([row], **options) for row in range(32)]
    assert captions(batch) == [caption for found in alone for caption in captions(found)]
    assert batch.scores.tolist() == [found.scores.item() for found in alone]
    assert len(set(batch.lengths.tolist())) > 3  # they end at different times


def test_beams_and_rows_take_one_step_together_until_the_last_row_is_done():
    def ends_after_as_many_tokens_as_its_number(row, prefix):
        logits = np.zeros(6, 'float32')
        logits[1] = 20 if len(prefix) > row else -20
        return logits

    model = TableModel(ends_after_as_many_tokens_as_its_number)
    found = run([0, 4, 2], model=model, beam_size=2, length_penalty=0, max_new_tokens=30)
    assert found.lengths.tolist() == [0, 4, 2]
    assert model.steps == [6] * 5


def test_a_row_goes_on_until_as_many_captions_as_beams_are_finished():
    def good_only_in_the_long_run(row, prefix):
        # A caption that ends at once has log(0.6); one that goes on has about log(0.4) in all.
        probs = np.full(6, 1e-4)
        probs[1 if len(prefix) in (1, 8) else 2] = 1
        probs[2] = max(probs[2], 0.4 / 0.6 if len(prefix) == 1 else 0)
        return np.log(probs).astype('float32')

    short, long = ((), (2,) * 7)
    for penalty, tokens in ((0, short), (1, long)):
        found = run([0], good_only_in_the_long_run, beam_size=2, max_new_tokens=10, length_penalty=penalty)
        assert captions(found) == [tokens]


def test_scores_of_steps_are_not_kept(monkeypatch):
    kept = []
    run_library = TableModel.generate

    def watch(self, *args, **kwargs):
        found = run_library(self, *args, **kwargs)
        kept.extend(found.scores)
        return found

    monkeypatch.setattr(TableModel, 'generate', watch)
    run(range(3), beam_size=2, max_new_tokens=4)
    assert len(kept) > 1 and all(scores.untyped_storage().nbytes() == 0 for scores in kept)


@pytest.mark.parametrize('beams', [5, 6, 9, 12])
@pytest.mark.parametrize('least', [0, 2])
def test_a_beam_may_be_wider_than_the_vocabulary(beams, least):
    rows = range(20)
    found = run(rows, TINY, beam_size=beams, length_penalty=2, max_new_tokens=5, min_new_tokens=least)
    assert captions(found) == [search(row, 0, 1, beams, 5, least, 2, logits=TINY)[0] for row in rows]


def test_more_beams_than_captions_are_refused():
    with pytest.raises(ValueError, match=r'beam_size must be at most .* captions, 4 \*\* 2, got 17'):
        run([0], TINY, beam_size=17, max_new_tokens=2)


def test_rules_that_leave_no_caption_are_refused():
    with pytest.raises(ValueError, match='min_new_tokens=6 and no_repeat_ngram=1 leave no caption of 5'):
        run(range(2), beam_size=2, max_new_tokens=7, min_new_tokens=6, no_repeat_ngram=1)

    def no_word_but_two(row, prefix):
        return np.float32([-np.inf, 0, 0, 0, -np.inf, -np.inf])

    with pytest.raises(
        ValueError,
        match=r'the options allow no caption in rows \[0, 1\]: min_new_tokens=4 and '
        'no_repeat_ngram=1',
    ):
        run(range(2), no_word_but_two, beam_size=2, max_new_tokens=5, min_new_tokens=4, no_repeat_ngram=1)
