import pytest

from mmclip4clip.models.decoders.generation_options import GenerationOptions, derive_seed, read_options


def read(options):
    return read_options(options, vocab_size=9, max_positions=24)


def test_defaults_are_a_beam_and_as_many_tokens_as_the_decoder_can_read():
    assert read(None) == read({}) == GenerationOptions(method='beam', max_new_tokens=24)
    assert read_options({}, 9, 77).max_new_tokens == 30
    given = dict(method='sample', seed=2**63 - 1, top_k=3, max_new_tokens=7)
    assert read(given) == GenerationOptions(**given)


@pytest.mark.parametrize(
    'options, message',
    [
        ('beam', "generation must be a dict of options, got 'beam'"),
        (dict(method=['beam']), r"generation.method must be one of .* got \['beam'\]"),
        (dict(method='best'), "generation.method must be one of .* got 'best'"),
        (dict(method='greedy', beam_size=2), r"method='greedy' takes .* got \['beam_size'\]"),
        (dict(method='greedy', beam_size=2), 'model.generation._delete_=True removes'),
        (dict(beam_size=0), "'beam_size': 0.* cannot be used: beam_size must be .*got 0"),
        (dict(max_new_tokens='9'), "max_new_tokens must be an integer from 1 on, got '9'"),
        (dict(max_new_tokens=25), 'max_new_tokens=25 is more than the 24 positions'),
        (dict(min_new_tokens=25), 'at most max_new_tokens, got 25 and 24'),
        (dict(length_penalty=1000.0), 'from 1e-5 to 1e30, got 1000.0 with max_new_tokens=24'),
        (dict(length_penalty=-400), 'from 1e-5 to 1e30, got -400'),
        (dict(length_penalty='x'), "length_penalty must be a finite number, got 'x'"),
        (dict(method='sample', top_p=2), 'top_p must be above 0 and at most 1, got 2'),
        (dict(method='sample', top_p=None), 'top_p must be a finite number, got None'),
        (dict(method='sample', temperature=0), 'temperature must be above 0, got 0'),
        (dict(method='sample', temperature='hot'), "temperature must be a finite number, got 'hot'"),
        (dict(method='sample', temperature=1e-40), 'temperature must be from 1e-30 to 1e30, got 1e-40'),
        (dict(method='sample', temperature=float('inf')), 'temperature must be a finite number, got inf'),
        (dict(method='sample', top_k=-1), 'top_k must be an integer from 0 on, got -1'),
        (dict(method='sample', top_p=0), 'top_p must be above 0 and at most 1, got 0'),
        (dict(beam_size=2.0), 'beam_size must be an integer from 1 on, got 2.0'),
        (dict(length_penalty=float('nan')), 'length_penalty must be a finite number, got nan'),
        (dict(max_new_tokens=0), 'max_new_tokens must be an integer from 1 on, got 0'),
        (dict(max_new_tokens=True), 'max_new_tokens must be an integer from 1 on, got True'),
        (dict(min_new_tokens=-1), 'min_new_tokens must be an integer from 0 on, got -1'),
        (dict(no_repeat_ngram=-2), 'no_repeat_ngram must be an integer from 0 on, got -2'),
        (dict(beam_size=82, max_new_tokens=2), r'at most the number of captions, 9 \*\* 2, got 82'),
        (
            dict(min_new_tokens=9, no_repeat_ngram=1),
            'min_new_tokens=9 and no_repeat_ngram=1 leave no caption',
        ),
        (dict(seed=2), r"method='beam' takes .* got \['seed'\]"),
        (dict(method='sample', seed='x'), "seed must be an integer from 0 on, got 'x'"),
        (dict(method='sample', seed=-1), 'seed must be an integer from 0 on, got -1'),
        (dict(method='sample', seed=2**63), r'seed must be below 2 \*\* 63, got 9223372036854775808'),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        read(options)


def test_neighboring_seeds_and_numbers_give_seeds_of_their_own():
    seeds = {derive_seed(seed, number) for seed in range(40) for number in range(50)}  # sums would be alike
    assert len(seeds) == 2000 and all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(3, 4) == derive_seed(3, 4)
