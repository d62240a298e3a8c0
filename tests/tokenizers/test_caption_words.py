from types import SimpleNamespace

import pytest

from mmclip4clip.tokenizers.caption_text import encode_captions
from mmclip4clip.tokenizers.caption_words import find_words
from mmclip4clip.tokenizers.loading import load_tokenizer

WIDE = 40


@pytest.fixture(scope='module')
def tokenizer(shapes):
    return load_tokenizer(str(shapes / 'tokenizer'))


@pytest.mark.parametrize(
    'caption, words',
    [
        ('The Blue star', ['the', 'blue', 'star']),
        ('skateboards', ['skateboards']),
        ("the dog's well-lit ball,  twice!", ['the', "dog's", 'well-lit', 'ball', ',', 'twice', '!']),
        ('in 2024 a_b', ['in', '2024', 'a_b']),
        ('caf\u00e9 \u72d7\u72d7 \U0001f600', ['caf\u00e9', '\u72d7', '\u72d7', '\U0001f600']),
    ],
)
def test_pieces_are_joined_to_words_and_every_token_is_in_one(tokenizer, caption, words):
    found = find_words(tokenizer, caption, WIDE)
    assert [word.text for word in found] == ['[start]', *words, '[end]']
    (ids,) = encode_captions(tokenizer, [caption], WIDE - 2)
    assert [token for word in found for token in word.tokens] == list(range(len(ids) + 2))
    assert max(len(word.tokens) for word in found) > 1  # the vocabulary has no such words


@pytest.mark.parametrize('caption', ['blue star ' * 50, ' ' * 10_050 + 'star ' * 30])
def test_a_caption_that_is_too_long_ends_where_the_text_tower_stops_reading(tokenizer, caption):
    found = find_words(tokenizer, caption, 8)
    (ids,) = encode_captions(tokenizer, [caption], 6)
    assert len(ids) == 6 and found[-1].text == '[end]' and found[-1].tokens == [7]
    assert sum(len(word.tokens) for word in found) == 8


def test_a_tokenizer_that_does_not_tell_places_gives_its_pieces(tokenizer):
    pieces = ['\u2581a', '\u2581dog', '##s', 'run</w>']

    class Slow(SimpleNamespace):
        is_fast = False

        def __call__(self, text, add_special_tokens=True, **options):
            ids = [1, 2, 3, 4] if text != 'a' else [1]
            return dict(input_ids=[0, *ids, 9] if add_special_tokens else ids)

        def convert_ids_to_tokens(self, ids):
            return [pieces[i - 1] for i in ids]

    found = find_words(Slow(), 'a dogs run', WIDE)
    assert [word.text for word in found] == ['[start]', 'a', 'dog', 's', 'run', '[end]']
    assert [word.tokens for word in found] == [[i] for i in range(6)]
