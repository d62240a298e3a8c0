import json
import zlib

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mmclip4clip.tokenizers import loading, saved_tokenizer
from mmclip4clip.tokenizers.clip_tokenizer import create_tokenizer
from mmclip4clip.tokenizers.loading import load_decoder_tokenizer, load_tokenizer, train_tokenizer
from mmclip4clip.tokenizers.saved_tokenizer import (
    describe_tokenizer,
    offer_tokenizers,
    pack_tokenizer,
    tokenizer_differences,
    unpack_tokenizer,
)


@pytest.fixture
def clip(tmp_path):
    return train_tokenizer(['a red circle grows'] * 3, tmp_path / 'clip')


@pytest.fixture(autouse=True)
def no_offer():
    yield
    offer_tokenizers({})


def words(folder, normalizer=None, **special):
    """Save a tokenizer of whole words, as unlike CLIP's as can be."""
    vocab = {word: i for i, word in enumerate(['[UNK]', 'A', 'a', 'man', *special.values()])}
    backend = Tokenizer(models.WordLevel(vocab, unk_token='[UNK]'))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if normalizer is not None:
        backend.normalizer = normalizer
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token='[UNK]', **special).save_pretrained(folder)
    return load_decoder_tokenizer(str(folder))[0]


def differences(one, other):
    return tokenizer_differences(describe_tokenizer(one), describe_tokenizer(other))


def test_a_copy_elsewhere_is_the_same_tokenizer(clip, tmp_path):
    clip('truncated once', truncation=True, max_length=3)
    clip.save_pretrained(tmp_path / 'copy')
    assert differences(clip, load_tokenizer(str(tmp_path / 'copy'))) == ''


def test_each_difference_is_told(clip, tmp_path):
    special = dict(bos_token='[S]', eos_token='[E]')
    plain = words(tmp_path / 'plain', **special)
    assert (
        differences(plain, words(tmp_path / 'small', normalizers.Lowercase(), **special))
        == 'other normalization'
    )
    assert 'other tokens or ids' in differences(clip, plain)
    folder = tmp_path / 'merges'
    clip.save_pretrained(folder)
    content = json.loads((folder / 'tokenizer.json').read_text())
    merges = content['model']['merges']
    assert len(merges) > 1
    content['model']['merges'] = merges[::-1]
    (folder / 'tokenizer.json').write_text(json.dumps(content))
    assert differences(clip, load_tokenizer(str(folder))).startswith('other merges')


def test_a_description_is_plain_data(clip):
    described = describe_tokenizer(clip)
    assert json.loads(json.dumps(described)) == described
    assert (described['kind'], described['size'], described['start']) == ('CLIPTokenizer', len(clip), 0)


@pytest.mark.parametrize('kind', ['clip', 'words'])
def test_a_tokenizer_goes_through_a_checkpoint(clip, tmp_path, kind):
    before = clip if kind == 'clip' else words(tmp_path / 'w', cls_token='[C]', sep_token='[S]')
    torch.save(dict(meta=dict(tokenizer=pack_tokenizer(before))), tmp_path / 'c.pth')
    saved = torch.load(str(tmp_path / 'c.pth'), weights_only=True, mmap=True)['meta']['tokenizer']
    offer_tokenizers(dict(captions=saved))
    load = load_tokenizer if kind == 'clip' else lambda name: load_decoder_tokenizer(name)[0]
    after = load(saved['name'] if kind == 'clip' else before.name_or_path)
    assert type(after) is type(before) and after.name_or_path == before.name_or_path
    assert describe_tokenizer(after) == describe_tokenizer(before)


def test_the_checkpoints_tokenizer_takes_the_place_of_one_that_is_gone(clip, monkeypatch, tmp_path):
    log = []
    monkeypatch.setattr(loading, 'print_log', lambda message, **kwargs: log.append(message))
    monkeypatch.setattr(loading, 'load_named', lambda *args, **kwargs: gone())

    def gone():
        raise OSError('no network')

    with pytest.raises(OSError, match="tokenizer='hub/name'.*no network"):
        load_tokenizer('hub/name')
    saved = dict(pack_tokenizer(clip), name='hub/name')
    offer_tokenizers(dict(captions=saved))
    assert load_tokenizer('hub/name').get_vocab() == clip.get_vocab() and not log  # the hub is not asked
    assert load_tokenizer('moved/away').get_vocab() == clip.get_vocab()
    assert log == [
        "tokenizer='moved/away' cannot be loaded, so the checkpoint's is used, once loaded as "
        "'hub/name'. Cause: no network"
    ]
    with pytest.raises(OSError, match='no network'):  # what CLIP reads is not what another decoder writes
        load_decoder_tokenizer('gpt2')
    assert load_decoder_tokenizer('hub/name')[1:] == (clip.bos_token_id, clip.eos_token_id)


def test_a_folder_that_is_there_wins_over_the_checkpoint(clip, tmp_path):
    other = train_tokenizer(['my dog eats'] * 3, tmp_path / 'other')
    offer_tokenizers(dict(captions=dict(pack_tokenizer(clip), name=str(tmp_path / 'other'))))
    assert load_tokenizer(str(tmp_path / 'other')).get_vocab() == other.get_vocab()


def packed(name, content):
    content = np.frombuffer(zlib.compress(content), np.uint8).copy()
    return dict(name='x', files={name: torch.from_numpy(content)})


@pytest.mark.parametrize(
    'saved, message',
    [
        (packed('../tokenizer.json', b'{}'), 'it has a file'),
        (packed('tokenizer.py', b'raise SystemExit'), 'it has a file'),
        (packed('tokenizer.json', b'x' * 5000), 'more than 1000 bytes'),
        (dict(name='x', files={'tokenizer.json': torch.zeros(3, dtype=torch.uint8)}), 'cannot be used'),
        (dict(name='x'), 'cannot be used'),
    ],
)
def test_hostile_data_are_refused(monkeypatch, saved, message):
    monkeypatch.setattr(saved_tokenizer, 'MAX_BYTES', 1000)
    with pytest.raises(OSError, match=f'tokenizer in the checkpoint cannot be used.*{message}|{message}'):
        unpack_tokenizer(saved)


def test_code_beside_a_tokenizer_is_neither_run_nor_asked_about(tmp_path, monkeypatch):
    words(tmp_path, bos_token='[S]', eos_token='[E]')
    config = json.loads((tmp_path / 'tokenizer_config.json').read_text())
    config['auto_map'] = dict(AutoTokenizer=['code.Mine', 'code.Mine'])
    config['tokenizer_class'] = 'Mine'
    (tmp_path / 'tokenizer_config.json').write_text(json.dumps(config))
    (tmp_path / 'code.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")\nclass Mine: pass')
    monkeypatch.setattr('builtins.input', lambda *args: pytest.fail('it asked'))
    try:
        load_decoder_tokenizer(str(tmp_path))
    except OSError as error:
        assert str(tmp_path) in str(error)
    assert not (tmp_path / 'ran').exists()
    saved = pack_tokenizer(create_tokenizer({'<|startoftext|>': 0, '<|endoftext|>': 1}, []))
    saved['files']['tokenizer_config.json'] = packed('c', json.dumps(config).encode())['files']['c']
    try:
        unpack_tokenizer(saved)
    except OSError as error:
        assert 'cannot be used' in str(error)
