import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from mmclip4clip.datasets import TokenizeCaptions, TokenizeTargets


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


def save_tokenizer(folder, **special):
    """Save a tokenizer of whole words, as unlike CLIP's as can be."""
    vocab = {word: i for i, word in enumerate(['[UNK]', 'red', 'circle', *special.values()])}
    backend = Tokenizer(WordLevel(vocab, unk_token='[UNK]'))
    backend.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token='[UNK]', **special).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize('special', [('bos_token', 'eos_token'), ('cls_token', 'sep_token')])
def test_targets_are_words_of_another_tokenizer_between_its_start_and_end(tmp_path, special):
    name = save_tokenizer(tmp_path, **dict(zip(special, ('[S]', '[E]'))))
    results = TokenizeTargets(name, max_words=4)(dict(captions=['red circle', 'red'], tokens='of CLIP'))
    assert results['caption_tokens'].tolist() == [[3, 1, 2, 4], [3, 1, 4, 0]]
    assert results['caption_mask'].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert results['tokens'] == 'of CLIP'
    long = TokenizeTargets(name, max_words=4)(dict(captions=['red red red red']))
    assert long['caption_tokens'].tolist() == [[3, 1, 1, 4]]


def test_targets_of_clips_own_tokenizer_are_clips_tokens(shapes, tokenize):
    captions = ['a red circle', 'Red!']
    targets = TokenizeTargets(str(shapes / 'tokenizer'))(dict(captions=captions))
    results, _ = tokenize(captions)
    assert targets['caption_tokens'].tolist() == results['tokens'].tolist()
    assert targets['caption_mask'].tolist() == results['text_mask'].tolist()


def test_a_tokenizer_without_start_or_end_is_refused(tmp_path):
    name = save_tokenizer(tmp_path, bos_token='[S]', cls_token='[C]')
    with pytest.raises(ValueError, match='neither bos_token and eos_token nor cls_token and sep_token'):
        TokenizeTargets(name)
    with pytest.raises(ValueError, match='at least 3, got 2'):
        TokenizeTargets(name, max_words=2)


def test_no_tokenizer_is_said_with_what_to_do(tmp_path):
    with pytest.raises(OSError, match='no tokenizer in a local folder .*save_pretrained'):
        TokenizeTargets(str(tmp_path))
