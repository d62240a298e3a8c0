import pytest

from mmclip4clip.datasets import TokenizeCaptions


@pytest.fixture
def tokenize(shapes):
    def tokenize(captions, max_words=32):
        transform = TokenizeCaptions(str(shapes / 'tokenizer'), max_words)
        return transform(dict(captions=captions)), transform.tokenizer
    return tokenize


def test_captions_stand_between_start_and_end(tokenize):
    results, tokenizer = tokenize(['A Red circle GROWS'])
    words = tokenizer.convert_ids_to_tokens(results['tokens'][0].tolist())
    assert words == ['<|startoftext|>', 'a</w>', 'red</w>', 'circle</w>', 'grows</w>', '<|endoftext|>']
    assert results['text_mask'].tolist() == [[1] * 6]


def test_too_long_a_caption_loses_words_and_keeps_its_end(tokenize):
    results, tokenizer = tokenize(['red ' * 100], max_words=5)
    red = tokenizer('red')['input_ids'][1]
    assert results['tokens'].tolist() == [[tokenizer.bos_token_id, red, red, red, tokenizer.eos_token_id]]


def test_captions_of_a_video_are_padded_to_the_longest_only(tokenize):
    results, _ = tokenize(['red', 'a red circle'])
    assert results['text_mask'].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert results['tokens'][0, 3:].tolist() == [0, 0]


def test_max_words_must_leave_room_for_a_word(shapes):
    with pytest.raises(ValueError, match='at least 3, got 2'):
        TokenizeCaptions(str(shapes / 'tokenizer'), 2)
