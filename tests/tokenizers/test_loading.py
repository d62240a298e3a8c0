import copy
import pickle
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, BertConfig, CLIPConfig, PreTrainedTokenizerFast

from mmclip4clip.tokenizers.caption_text import decode_caption
from mmclip4clip.tokenizers.loading import load_decoder_tokenizer, load_tokenizer, train_tokenizer


def test_a_trained_tokenizer_spells_what_it_never_saw(tmp_path):
    tokenizer = train_tokenizer(['a red circle moves'] * 3, tmp_path)
    ids = tokenizer('A Zebra?')['input_ids']
    assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.unk_token_id not in ids[1:-1]
    assert tokenizer.decode(ids, skip_special_tokens=True) == 'a zebra ?'


def test_copies_decode_captions_alike(tmp_path):
    tokenizer = train_tokenizer(['a red circle moves'] * 3, tmp_path)
    ids = tokenizer('a red zebra moves')['input_ids']
    for copied in (tokenizer, copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert decode_caption(copied, ids) == 'a red zebra moves'


def test_the_same_captions_give_the_same_tokenizer(tmp_path):
    captions = ['a red circle moves', 'a blue square grows', 'one green star']
    ids = [train_tokenizer(captions, tmp_path / name)(captions)['input_ids'] for name in 'abcd']
    assert ids == [ids[0]] * 4
    assert [len(i) for i in ids[0]] == [6, 6, 5]  # start, whole words, end


def test_says_how_to_have_one_without_a_network(tmp_path):
    with pytest.raises(OSError, match="tokenizer='no/such'.*save_pretrained"):
        load_tokenizer('no/such')
    cause = '(it has . tokens|has no vocabulary)'  # the latter from transformers 4
    with pytest.raises(OSError, match=f'no CLIP tokenizer in that folder.*{cause}'):
        load_tokenizer(str(tmp_path))


def test_protobuf_is_not_asked_for_where_the_vocabulary_is_missing(monkeypatch, tmp_path):
    """transformers 4 takes any error of a tokenizer for one of protobuf, which it then cannot import."""

    def from_pretrained(name, **kwargs):
        try:
            Path(kwargs.get('vocab_file'))
        except TypeError as error:
            raise ImportError('requires the protobuf library') from error

    monkeypatch.setattr(AutoTokenizer, 'from_pretrained', from_pretrained)
    with pytest.raises(OSError, match='no tokenizer .*Cause: .* has no vocabulary'):
        load_decoder_tokenizer(str(tmp_path))


@pytest.mark.parametrize('config', [BertConfig, CLIPConfig])
def test_a_models_folder_without_its_tokenizer_has_no_words_to_write(tmp_path, config):
    config().save_pretrained(tmp_path)
    cause = '[25] of them special .* no word|has no vocabulary'  # the latter from transformers 4
    with pytest.raises(OSError, match=f'no tokenizer .*save_pretrained.*({cause})'):
        load_decoder_tokenizer(str(tmp_path))


@pytest.mark.parametrize(
    'caption',
    [
        "a man's t-shirt, no. 10, doesn't fit!",
        "it's and/or 2010 - so",
        'first 1, 2 and 3.5',
        'rock & roll at 3:30',
        '1,000 of 2 or 3',
    ],
)
def test_captions_are_spelled_as_they_were_written(tmp_path, caption):
    tokenizer = train_tokenizer([caption], tmp_path)
    spelled = decode_caption(tokenizer, tokenizer(caption)['input_ids'])
    assert spelled == caption.replace(' - ', '-')  # which of the two was meant is not in the tokens


def test_a_tokenizer_that_keeps_spaces_is_taken_at_its_word(tmp_path):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trained.train_from_iterator(
        [],
        trainers.BpeTrainer(
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=['<s>', '</s>']
        ),
    )
    special = dict(bos_token='<s>', eos_token='</s>')
    PreTrainedTokenizerFast(tokenizer_object=trained, **special).save_pretrained(tmp_path)
    tokenizer, start, end = load_decoder_tokenizer(str(tmp_path))
    for caption in ('he scores 2 3 pointers', 'man - made , all of it', '$5.00 100% !'):
        ids = tokenizer(caption, add_special_tokens=False)['input_ids']
        assert decode_caption(tokenizer, [start, *ids, end]) == caption


def test_bos_and_eos_come_before_cls_and_sep(tmp_path):
    words = {word: i for i, word in enumerate(['a', '[C]', '[S]', '<s>', '</s>'])}
    special = dict(bos_token='<s>', eos_token='</s>', cls_token='[C]', sep_token='[S]')
    words = Tokenizer(models.WordLevel(words, unk_token='a'))
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(tmp_path)
    assert load_decoder_tokenizer(str(tmp_path))[1:] == (3, 4)
