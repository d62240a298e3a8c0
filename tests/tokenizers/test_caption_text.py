import ftfy
import pytest

from mmclip4clip.datasets import TokenizeCaptions, TokenizeTargets
from mmclip4clip.tokenizers.caption_text import encode_captions
from mmclip4clip.tokenizers.loading import clean_caption, load_tokenizer, train_tokenizer

# As people and web pages write them, and what was meant.
WRITTEN = [
    ('it’s a dog’s life', "it's a dog's life"),
    ('‘red’ “circle”', '\'red\' "circle"'),
    ('schÃ¶n', 'schön'),  # UTF-8 read as Latin-1
    ('rock &amp; roll', 'rock & roll'),
    ('rock &amp;amp; roll', 'rock & roll'),
    ('<b> &amp;lt; &amp;quot;red&amp;quot;', '<b> < "red"'),
    ('&nbsp;a &nbsp; red\r\n\tcircle \u3000 ', 'a red circle'),
    ('a ﬁne ｗｉｄｅ line', 'a fine wide line'),
    ('\x1b[31mred\x1b[0m cir\x00cle', 'red circle'),
    ('A man', 'A man'),  # small letters are the tokenizer's work
    (' \t\n', ''),
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tokenizer')
    train_tokenizer([meant for _, meant in WRITTEN] * 3 + ['the é e\u0301 café <b'], folder)
    return str(folder)


@pytest.mark.parametrize('written, meant', WRITTEN)
def test_captions_are_cleaned_as_in_the_training_of_clip(written, meant):
    assert clean_caption(written) == meant


@pytest.mark.parametrize('written, meant', WRITTEN)
def test_a_caption_has_the_tokens_of_what_was_meant(folder, written, meant):
    tokenize, targets = TokenizeCaptions(folder), TokenizeTargets(folder)
    tokens = tokenize(dict(captions=[written, meant]))
    assert tokens['tokens'][0].tolist() == tokens['tokens'][1].tolist()
    assert tokens['text_mask'][0].tolist() == tokens['text_mask'][1].tolist()
    learned = targets(dict(captions=[written]))['caption_tokens'][0].tolist()
    assert learned == tokens['tokens'][0, : len(learned)].tolist()


def test_the_words_are_those_that_stand_there(folder):
    tokenize = TokenizeCaptions(folder)
    ids = tokenize(dict(captions=['It’s &amp;quot;Red&amp;quot;']))['tokens'][0].tolist()
    words = tokenize.tokenizer.convert_ids_to_tokens(ids)
    assert words == ['<|startoftext|>', 'it</w>', "'s</w>", '"</w>', 'red</w>', '"</w>', '<|endoftext|>']


def test_special_tokens_are_found_in_capitals_too(folder):
    tokenizer = load_tokenizer(folder)
    big, small = encode_captions(tokenizer, ['A <|ENDOFTEXT|> man', 'a <|endoftext|> man'], 9)
    assert big == small and small[1] == tokenizer.eos_token_id and len(small) == 3


def test_accents_that_an_escape_gives_stay_as_they_are(folder):
    """CLIP composes letters before it resolves escapes, and not again."""
    apart, composed = encode_captions(load_tokenizer(folder), ['<b e&#769;', '<b \u00e9'], 9)
    assert clean_caption('<b e&#769;') == '<b e\u0301' and apart != composed


@pytest.mark.parametrize('long', ['it’s a dog’s life\n' * 60_000, 'é' * 10**6, 'schÃ¶n ' * 140_000])
def test_a_caption_of_megabytes_costs_no_more_than_a_long_one(folder, monkeypatch, long):
    cleaned, fix_text = [], ftfy.fix_text
    monkeypatch.setattr(ftfy, 'fix_text', lambda text: cleaned.append(len(text)) or fix_text(text))
    tokenizer = load_tokenizer(folder)
    (ids,) = encode_captions(tokenizer, [long], 77)
    assert len(ids) == 77 and sum(cleaned) <= 10_000
    monkeypatch.undo()
    assert ids == encode_captions(tokenizer, [long[:5_000]], 77)[0]


def test_words_after_a_long_nothing_are_read(folder):
    captions = [' \x00' * 40_000 + 'a red circle', 'a red circle']
    ids, plain = encode_captions(load_tokenizer(folder), captions, 9)
    assert ids == plain and len(plain) == 3


@pytest.mark.parametrize('amp', ['', 'amp;', 'amp;amp;'])
def test_a_number_of_thousands_of_digits_is_no_character(amp):
    assert clean_caption(f'a dog &{amp}#{"9" * 5000};') == 'a dog \ufffd'
    assert clean_caption('tag #12345678901 &#100;og') == 'tag #12345678901 dog'
